package endpoints

import (
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/controller"
)

// legacy is the Endpoints object of svc in its first family.
func legacy(svc *corev1.Service, all []member) *corev1.Endpoints {
	labels := maps.Clone(svc.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	delete(labels, headlessLabel)
	if headless(svc) {
		labels[headlessLabel] = ""
	}
	labels[legacyManaged] = legacyManager
	out := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name, Labels: labels}}
	if len(all) > legacyCapacity {
		all = all[:legacyCapacity]
		out.Annotations = map[string]string{overCapacity: "truncated"}
	}
	for _, g := range legacyGroups(all) {
		if len(g.ports) == 0 && len(svc.Spec.Ports) > 0 {
			continue // pods that have none of the named ports
		}
		if s := subset(g); len(s.Addresses)+len(s.NotReadyAddresses) > 0 { // else all are on their way out
			out.Subsets = append(out.Subsets, s)
		}
	}
	return out
}

func legacyGroups(all []member) []*group {
	if len(all) == 0 {
		return nil
	}
	return groupUp("", all)
}

func subset(g *group) corev1.EndpointSubset {
	var s corev1.EndpointSubset
	for _, p := range g.ports {
		s.Ports = append(s.Ports, corev1.EndpointPort{Name: text(p.Name), Port: number(p.Port), Protocol: *p.Protocol, AppProtocol: p.AppProtocol})
	}
	for _, e := range g.endpoints {
		a := corev1.EndpointAddress{IP: e.Addresses[0], Hostname: text(e.Hostname), NodeName: e.NodeName, TargetRef: e.TargetRef}
		switch {
		case *e.Conditions.Ready:
			s.Addresses = append(s.Addresses, a)
		case !*e.Conditions.Terminating:
			s.NotReadyAddresses = append(s.NotReadyAddresses, a)
		}
	}
	return s
}

// mirrored is whether ep was made by hand and should appear as slices.
func mirrored(ep *corev1.Endpoints) bool {
	_, leader := ep.Annotations["control-plane.alpha.kubernetes.io/leader"]
	return !leader && ep.Labels[skipMirroring] != "true" && ep.DeletionTimestamp == nil
}

// mirror is Endpoints as groups of slices.
func mirror(ep *corev1.Endpoints) []*group {
	var out []*group
	for _, s := range ep.Subsets {
		var ports []discoveryv1.EndpointPort
		for _, p := range s.Ports {
			ports = append(ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
		}
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			g := &group{family: family, ports: ports}
			g.mirror(s.Addresses, true)
			g.mirror(s.NotReadyAddresses, false)
			if len(g.endpoints) > 0 {
				out = append(out, g)
			}
		}
	}
	return out
}

func (g *group) mirror(addresses []corev1.EndpointAddress, ready bool) {
	for _, a := range addresses {
		ip, err := netip.ParseAddr(a.IP)
		if err != nil || ip.Is4() != (g.family == discoveryv1.AddressTypeIPv4) {
			continue
		}
		e := discoveryv1.Endpoint{Addresses: []string{a.IP}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}, TargetRef: a.TargetRef, NodeName: a.NodeName}
		if a.Hostname != "" {
			e.Hostname = &a.Hostname
		}
		g.endpoints = append(g.endpoints, e)
	}
}

func mirrorMeta(ep *corev1.Endpoints) meta {
	labels := maps.Clone(ep.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[discoveryv1.LabelServiceName] = ep.Name
	labels[discoveryv1.LabelManagedBy] = mirrorManager
	return meta{ep.Name + "-", ep.Namespace, labels, controller.RefTo(ep, corev1.SchemeGroupVersion.WithKind("Endpoints"))}
}
