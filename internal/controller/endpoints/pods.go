// Package endpoints publishes which pods are behind a Service, as
// EndpointSlices and as Endpoints, and mirrors Endpoints made by hand.
//
// pods.go says what an address is, slices.go and legacy.go plan, endpoints.go does. Read pods.go first.
package endpoints

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/controller"
)

// member is one pod behind a service, in one address family.
type member struct {
	endpoint discoveryv1.Endpoint
	ports    []discoveryv1.EndpointPort
}

// families of svc's endpoints. A service made before families were filled in is IPv4.
func families(svc *corev1.Service) []discoveryv1.AddressType {
	var out []discoveryv1.AddressType
	for _, f := range svc.Spec.IPFamilies {
		out = append(out, discoveryv1.AddressType(f))
	}
	if len(out) == 0 {
		out = append(out, discoveryv1.AddressTypeIPv4)
	}
	return out
}

func headless(svc *corev1.Service) bool {
	return svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.Spec.ClusterIP == "" && svc.Spec.Type != corev1.ServiceTypeExternalName
}

// members are the pods that svc reaches in a family, sorted by address. zone is that of a node.
func members(svc *corev1.Service, pods []*corev1.Pod, family discoveryv1.AddressType, zone func(node string) string) []member {
	var out []member
	for _, p := range pods {
		ip := address(p, family)
		if ip == "" || controller.PodFinished(p) {
			continue
		}
		out = append(out, member{endpoint(svc, p, ip, zone), ports(svc, p)})
	}
	slices.SortFunc(out, func(a, b member) int { return cmp.Compare(a.endpoint.Addresses[0], b.endpoint.Addresses[0]) })
	return out
}

func address(p *corev1.Pod, family discoveryv1.AddressType) string {
	ips := p.Status.PodIPs
	if len(ips) == 0 && p.Status.PodIP != "" {
		ips = []corev1.PodIP{{IP: p.Status.PodIP}}
	}
	for _, ip := range ips {
		if a, err := netip.ParseAddr(ip.IP); err == nil && a.Is4() == (family == discoveryv1.AddressTypeIPv4) {
			return ip.IP
		}
	}
	return ""
}

func endpoint(svc *corev1.Service, p *corev1.Pod, ip string, zone func(string) string) discoveryv1.Endpoint {
	serving := controller.PodReady(p)
	terminating := p.DeletionTimestamp != nil
	ready := svc.Spec.PublishNotReadyAddresses || serving && !terminating
	e := discoveryv1.Endpoint{
		Addresses:  []string{ip},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
	}
	if n := p.Spec.NodeName; n != "" {
		e.NodeName = &n
		if z := zone(n); z != "" {
			e.Zone = &z
		}
	}
	if h := p.Spec.Hostname; h != "" && p.Spec.Subdomain == svc.Name {
		e.Hostname = &h
	}
	return e
}

// ports are svc's as p serves them; a named target port that p does not have is left out.
func ports(svc *corev1.Service, p *corev1.Pod) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		n, ok := target(sp, p)
		if !ok {
			continue
		}
		name, protocol := sp.Name, cmp.Or(sp.Protocol, corev1.ProtocolTCP)
		out = append(out, discoveryv1.EndpointPort{Name: &name, Port: &n, Protocol: &protocol, AppProtocol: sp.AppProtocol})
	}
	return out
}

func target(sp *corev1.ServicePort, p *corev1.Pod) (int32, bool) {
	if sp.TargetPort.Type == intstr.Int {
		return cmp.Or(sp.TargetPort.IntVal, sp.Port), true
	}
	containers := slices.Clone(p.Spec.Containers)
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			containers = append(containers, c)
		}
	}
	for _, c := range containers {
		for _, cp := range c.Ports {
			if cp.Name == sp.TargetPort.StrVal && cmp.Or(cp.Protocol, corev1.ProtocolTCP) == cmp.Or(sp.Protocol, corev1.ProtocolTCP) {
				return cp.ContainerPort, true
			}
		}
	}
	return 0, false
}

// portsKey is equal for equal lists of ports.
func portsKey(p []discoveryv1.EndpointPort) string {
	p = slices.Clone(p)
	slices.SortFunc(p, func(a, b discoveryv1.EndpointPort) int {
		return cmp.Or(cmp.Compare(text(a.Name), text(b.Name)), cmp.Compare(number(a.Port), number(b.Port)))
	})
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // plain data
	}
	return string(b)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}
