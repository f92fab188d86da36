package discovery

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// EndpointSlice of the group discovery.
func EndpointSlice() *api.Kind {
	return &api.Kind{
		Kind: "EndpointSlice", Resource: "endpointslices",
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](discoveryv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *discoveryv1.EndpointSlice) {
			for i := range o.Ports {
				poddefault.Set(&o.Ports[i].Name, "")
				poddefault.Set(&o.Ports[i].Protocol, corev1.ProtocolTCP)
			}
		}),
		Validate: kit.To(sliceValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *discoveryv1.EndpointSlice) field.ErrorList {
			return check.Immutable(field.NewPath("addressType"), o.AddressType, old.AddressType)
		}),
		Columns: kit.Columns(
			kit.Column("AddressType", discoveryv1.EndpointSlice{}.SwaggerDoc()["addressType"]),
			kit.Column("Ports", discoveryv1.EndpointSlice{}.SwaggerDoc()["ports"]),
			kit.Column("Endpoints", discoveryv1.EndpointSlice{}.SwaggerDoc()["endpoints"])),
		Cells: kit.Cells(sliceCells),
	}
}

func sliceValidate(o *discoveryv1.EndpointSlice) field.ErrorList {
	errs := check.OneOf(field.NewPath("addressType"), o.AddressType, discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6)
	if n := len(o.Endpoints); n > 1000 {
		return append(errs, field.TooMany(field.NewPath("endpoints"), n, 1000))
	}
	for i := range o.Endpoints {
		errs = append(errs, endpoint(field.NewPath("endpoints").Index(i), &o.Endpoints[i], o.AddressType)...)
	}
	p := field.NewPath("ports")
	if n := len(o.Ports); n > 20000 {
		return append(errs, field.TooMany(p, n, 20000))
	}
	names := map[string]bool{}
	for i, port := range o.Ports {
		ip := p.Index(i)
		name := kit.Deref(port.Name, "")
		if name != "" {
			errs = append(errs, check.DNSLabel(ip.Child("name"), name)...)
		}
		if names[name] {
			errs = append(errs, field.Duplicate(ip.Child("name"), name))
		}
		names[name] = true
		if port.Protocol == nil {
			errs = append(errs, field.Required(ip.Child("protocol"), ""))
		}
		errs = append(errs, check.OptionalOf(ip.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
		if port.AppProtocol != nil {
			errs = append(errs, check.QualifiedName(ip.Child("appProtocol"), *port.AppProtocol)...)
		}
	}
	return errs
}

func endpoint(p *field.Path, e *discoveryv1.Endpoint, t discoveryv1.AddressType) field.ErrorList {
	var errs field.ErrorList
	ap := p.Child("addresses")
	switch n := len(e.Addresses); {
	case n == 0:
		errs = append(errs, field.Required(ap, "must contain at least 1 address"))
	case n > 100:
		errs = append(errs, field.TooMany(ap, n, 100))
	}
	for i, a := range e.Addresses {
		ip := ap.Index(i)
		switch t {
		case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
			if es := check.LegacyIP(ip, a); len(es) > 0 {
				errs = append(errs, es...)
			} else if netutils.IsIPv6String(a) != (t == discoveryv1.AddressTypeIPv6) {
				errs = append(errs, field.Invalid(ip, a, "must be an "+string(t)+" address"))
			}
			errs = append(errs, check.UnicastIP(ip, a)...)
		case discoveryv1.AddressTypeFQDN:
			errs = append(errs, validation.IsFullyQualifiedDomainName(ip, a)...)
		}
	}
	if e.NodeName != nil {
		errs = append(errs, check.DNSSubdomain(p.Child("nodeName"), *e.NodeName)...)
	}
	if e.Hostname != nil {
		errs = append(errs, check.DNSLabel(p.Child("hostname"), *e.Hostname)...)
	}
	if len(e.DeprecatedTopology) > 0 {
		errs = append(errs, check.Labels(p.Child("deprecatedTopology"), e.DeprecatedTopology)...)
	}
	if h := e.Hints; h != nil {
		for i, z := range h.ForZones {
			errs = append(errs, check.Invalid(p.Child("hints", "forZones").Index(i), z.Name, validation.IsValidLabelValue(z.Name))...)
		}
		if n := len(h.ForZones); n > 8 {
			errs = append(errs, field.TooMany(p.Child("hints", "forZones"), n, 8))
		}
		if n := len(h.ForNodes); n > 8 {
			errs = append(errs, field.TooMany(p.Child("hints", "forNodes"), n, 8))
		}
	}
	return errs
}

func sliceCells(o *discoveryv1.EndpointSlice, now time.Time) []any {
	var ports, addresses []string
	for _, p := range o.Ports {
		switch {
		case p.Port != nil:
			ports = append(ports, strconv.Itoa(int(*p.Port)))
		case p.Name != nil:
			ports = append(ports, *p.Name)
		default:
			ports = append(ports, "*")
		}
	}
	for i := range o.Endpoints {
		addresses = append(addresses, o.Endpoints[i].Addresses...)
	}
	return []any{o.Name, string(o.AddressType), firstThree(ports), firstThree(addresses), kit.Age(o, now)}
}

func firstThree(list []string) string {
	if n := len(list); n > 3 {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:3], ","), n-3)
	}
	return kit.Or(strings.Join(list, ","), "<unset>")
}
