package networking

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// NetworkPolicy of the group networking.
func NetworkPolicy() *api.Kind {
	return &api.Kind{
		Kind: "NetworkPolicy", Resource: "networkpolicies",
		ShortNames:    []string{"netpol"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[networkingv1.NetworkPolicy, networkingv1.NetworkPolicyList](networkingv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(policyDefault),
		Validate:      kit.To(policyValidate),
		Columns:       kit.Columns(kit.Column("Pod-Selector", networkingv1.NetworkPolicySpec{}.SwaggerDoc()["podSelector"])),
		Cells: kit.Cells(func(o *networkingv1.NetworkPolicy, now time.Time) []any {
			return []any{o.Name, metav1.FormatLabelSelector(&o.Spec.PodSelector), kit.Age(o, now)}
		}),
	}
}

func policyDefault(o *networkingv1.NetworkPolicy) {
	for i := range o.Spec.Ingress {
		policyPorts(o.Spec.Ingress[i].Ports)
	}
	for i := range o.Spec.Egress {
		policyPorts(o.Spec.Egress[i].Ports)
	}
	if len(o.Spec.PolicyTypes) == 0 {
		o.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(o.Spec.Egress) > 0 {
			o.Spec.PolicyTypes = append(o.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
}

func policyPorts(ports []networkingv1.NetworkPolicyPort) {
	for i := range ports {
		poddefault.Set(&ports[i].Protocol, corev1.ProtocolTCP)
	}
}

func policyValidate(o *networkingv1.NetworkPolicy) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	errs := check.Selector(p.Child("podSelector"), &s.PodSelector)
	for i, r := range s.Ingress {
		errs = append(errs, policyRule(p.Child("ingress").Index(i), "from", r.Ports, r.From)...)
	}
	for i, r := range s.Egress {
		errs = append(errs, policyRule(p.Child("egress").Index(i), "to", r.Ports, r.To)...)
	}
	if len(s.PolicyTypes) > 2 {
		return append(errs, field.Invalid(p.Child("policyTypes"), &s.PolicyTypes, "may not specify more than two policyTypes"))
	}
	for i, t := range s.PolicyTypes {
		errs = append(errs, check.Supported(p.Child("policyTypes").Index(i), t, networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress)...)
	}
	return errs
}

func policyRule(p *field.Path, peersName string, ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer) field.ErrorList {
	var errs field.ErrorList
	for i, port := range ports {
		pp := p.Child("ports").Index(i)
		errs = append(errs, check.OptionalOf(pp.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
		if port.Port != nil {
			errs = append(errs, check.PortOrName(pp.Child("port"), *port.Port)...)
		}
		switch end := port.EndPort; {
		case end == nil:
		case port.Port == nil:
			errs = append(errs, field.Required(pp.Child("endPort"), "may not be specified when `port` is not specified"))
		case port.Port.Type == intstr.String:
			errs = append(errs, field.Invalid(pp.Child("endPort"), *end, "may not be specified when `port` is non-numeric"))
		default:
			if *end < port.Port.IntVal {
				errs = append(errs, field.Invalid(pp.Child("endPort"), *end, "must be greater than or equal to `port`"))
			}
			errs = append(errs, check.Port(pp.Child("endPort"), *end)...)
		}
	}
	for i, peer := range peers {
		pp := p.Child(peersName).Index(i)
		if peer.PodSelector == nil && peer.NamespaceSelector == nil && peer.IPBlock == nil {
			errs = append(errs, field.Required(pp, "must specify a peer"))
			continue
		}
		if peer.IPBlock != nil && (peer.PodSelector != nil || peer.NamespaceSelector != nil) {
			errs = append(errs, field.Forbidden(pp, "may not specify both ipBlock and another peer"))
		}
		errs = append(errs, check.Join(check.Selector(pp.Child("podSelector"), peer.PodSelector), check.Selector(pp.Child("namespaceSelector"), peer.NamespaceSelector))...)
		if peer.IPBlock != nil {
			errs = append(errs, ipBlock(pp.Child("ipBlock"), peer.IPBlock)...)
		}
	}
	return errs
}

func ipBlock(p *field.Path, b *networkingv1.IPBlock) field.ErrorList {
	if b.CIDR == "" {
		return check.One(field.Required(p.Child("cidr"), ""))
	}
	if errs := check.LegacyCIDR(p.Child("cidr"), b.CIDR); len(errs) > 0 {
		return errs
	}
	_, whole, err := netutils.ParseCIDRSloppy(b.CIDR)
	var errs field.ErrorList
	for i, e := range b.Except {
		ep := p.Child("except").Index(i)
		if es := check.LegacyCIDR(ep, e); len(es) > 0 {
			errs = append(errs, es...)
			continue
		}
		_, part, err2 := netutils.ParseCIDRSloppy(e)
		if err != nil || err2 != nil {
			continue // said above
		}
		outer, _ := whole.Mask.Size()
		if inner, _ := part.Mask.Size(); !whole.Contains(part.IP) || outer >= inner {
			errs = append(errs, field.Invalid(ep, e, "must be a strict subset of `cidr`"))
		}
	}
	return errs
}
