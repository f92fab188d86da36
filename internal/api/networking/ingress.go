package networking

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Ingress of the group networking.
func Ingress() *api.Kind {
	halves := kit.Split(
		func(o *networkingv1.Ingress) *networkingv1.IngressSpec { return &o.Spec },
		func(o *networkingv1.Ingress) *networkingv1.IngressStatus { return &o.Status })
	return &api.Kind{
		Kind: "Ingress", Resource: "ingresses",
		ShortNames:    []string{"ing"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[networkingv1.Ingress, networkingv1.IngressList](networkingv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Validate: kit.To(ingressValidate),
		Columns: kit.Columns(
			kit.Column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
			kit.Column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
			kit.Column("Address", "Address is a list containing ingress points for the load-balancer"),
			kit.Column("Ports", "Ports of TLS configurations that open")),
		Cells: kit.Cells(ingressCells),
	}
}

func ingressValidate(o *networkingv1.Ingress) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		errs = append(errs, field.Invalid(p, s.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if s.DefaultBackend != nil {
		errs = append(errs, ingressBackend(p.Child("defaultBackend"), s.DefaultBackend)...)
	}
	for i, r := range s.Rules {
		rp := p.Child("rules").Index(i)
		errs = append(errs, ingressHost(rp.Child("host"), r.Host)...)
		if r.HTTP == nil {
			continue
		}
		pp := rp.Child("http", "paths")
		if len(r.HTTP.Paths) == 0 {
			errs = append(errs, field.Required(pp, ""))
		}
		for j := range r.HTTP.Paths {
			errs = append(errs, ingressPath(pp.Index(j), &r.HTTP.Paths[j])...)
		}
	}
	for i, t := range s.TLS {
		for j, h := range t.Hosts {
			hp := p.Child("tls").Index(i).Child("hosts").Index(j)
			if strings.Contains(h, "*") {
				errs = append(errs, check.Invalid(hp, h, validation.IsWildcardDNS1123Subdomain(h))...)
			} else {
				errs = append(errs, check.DNSSubdomain(hp, h)...)
			}
		}
	}
	if c := s.IngressClassName; c != nil {
		errs = append(errs, check.DNSSubdomain(p.Child("ingressClassName"), *c)...)
	}
	return errs
}

func ingressHost(p *field.Path, host string) field.ErrorList {
	switch {
	case host == "":
		return nil
	case net.ParseIP(host) != nil:
		return check.One(field.Invalid(p, host, "must be a DNS name, not an IP address"))
	case strings.Contains(host, "*"):
		return check.Invalid(p, host, validation.IsWildcardDNS1123Subdomain(host))
	}
	return check.DNSSubdomain(p, host)
}

func ingressPath(p *field.Path, h *networkingv1.HTTPIngressPath) field.ErrorList {
	if h.PathType == nil {
		return check.One(field.Required(p.Child("pathType"), "pathType must be specified"))
	}
	var errs field.ErrorList
	pp := p.Child("path")
	switch *h.PathType {
	case networkingv1.PathTypeExact, networkingv1.PathTypePrefix:
		if !strings.HasPrefix(h.Path, "/") {
			errs = append(errs, field.Invalid(pp, h.Path, "must be an absolute path"))
		}
		for _, bad := range []string{"//", "/./", "/../", "%2f", "%2F"} {
			if strings.Contains(h.Path, bad) {
				errs = append(errs, field.Invalid(pp, h.Path, fmt.Sprintf("must not contain '%s'", bad)))
			}
		}
		for _, bad := range []string{"/..", "/."} {
			if strings.HasSuffix(h.Path, bad) {
				errs = append(errs, field.Invalid(pp, h.Path, fmt.Sprintf("cannot end with '%s'", bad)))
			}
		}
	case networkingv1.PathTypeImplementationSpecific:
		if h.Path != "" && !strings.HasPrefix(h.Path, "/") {
			errs = append(errs, field.Invalid(pp, h.Path, "must be an absolute path"))
		}
	default:
		errs = append(errs, field.NotSupported(p.Child("pathType"), *h.PathType, []networkingv1.PathType{
			networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific, networkingv1.PathTypePrefix}))
	}
	return append(errs, ingressBackend(p.Child("backend"), &h.Backend)...)
}

func ingressBackend(p *field.Path, b *networkingv1.IngressBackend) field.ErrorList {
	switch {
	case b.Resource != nil && b.Service != nil:
		return check.One(field.Invalid(p, "", "cannot set both resource and service backends"))
	case b.Resource != nil:
		return check.Join(check.Present(p.Child("resource", "name"), b.Resource.Name), check.Present(p.Child("resource", "kind"), b.Resource.Kind))
	case b.Service == nil:
		return check.One(field.Required(p, "must specify either a resource or service backend"))
	}
	sp := p.Child("service")
	errs := check.Present(sp.Child("name"), b.Service.Name)
	if b.Service.Name != "" {
		errs = append(errs, check.Invalid(sp.Child("name"), b.Service.Name, validation.IsDNS1035Label(b.Service.Name))...)
	}
	switch port := b.Service.Port; {
	case port.Name != "" && port.Number != 0:
		errs = append(errs, field.Invalid(sp, "", "cannot set both port name & port number"))
	case port.Name != "":
		errs = append(errs, check.Invalid(sp.Child("port", "name"), port.Name, validation.IsValidPortName(port.Name))...)
	case port.Number != 0:
		errs = append(errs, check.Port(sp.Child("port", "number"), port.Number)...)
	default:
		errs = append(errs, field.Required(sp, "port name or number is required"))
	}
	return errs
}

func ingressCells(o *networkingv1.Ingress, now time.Time) []any {
	var hosts, addresses []string
	for i, r := range o.Spec.Rules {
		if i < 3 && r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	host := kit.Or(strings.Join(hosts, ","), "*")
	if n := len(o.Spec.Rules); n > 3 && len(hosts) == 3 {
		host = fmt.Sprintf("%s + %d more...", host, n-3)
	}
	for _, in := range o.Status.LoadBalancer.Ingress {
		if a := kit.Or(in.IP, in.Hostname); a != "" {
			addresses = append(addresses, a)
		}
	}
	slices.Sort(addresses)
	ports := "80"
	if len(o.Spec.TLS) > 0 {
		ports = "80, 443"
	}
	return []any{o.Name, kit.Deref(o.Spec.IngressClassName, "<none>"), host, strings.Join(slices.Compact(addresses), ","), ports, kit.Age(o, now)}
}
