package admission

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/api"
)

// System describes the objects that a cluster cannot be without.
type System struct {
	ServiceRanges []netip.Prefix // as Options
	Addresses     []netip.Addr   // where this API server answers, of the default family
	Port          int32          // and on which port
	ClientCA      []byte         // PEM, for aggregated API servers
	ProxyCA       []byte         // PEM, for aggregated API servers; may be empty
}

// APIServerIP is the cluster IP of the Service "kubernetes": the first address of the range.
func (s System) APIServerIP() netip.Addr { return s.ServiceRanges[0].Masked().Addr().Next() }

// SystemObjects returns, in the order they are to be ensured at each start, the namespaces, priority classes,
// the ServiceCIDR "kubernetes", the Service "kubernetes" with its Endpoints and EndpointSlice, and the
// ConfigMap extension-apiserver-authentication.
func SystemObjects(s System) (out []api.Object) {
	for _, n := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		out = append(out, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n, Labels: map[string]string{corev1.LabelMetadataName: n}}})
	}
	for _, c := range systemPriorities() {
		out = append(out, c)
	}
	cidr := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}}
	for _, p := range s.ServiceRanges {
		cidr.Spec.CIDRs = append(cidr.Spec.CIDRs, p.Masked().String())
	}
	out = append(out, cidr)
	out = append(out, s.service()...)
	data := map[string]string{"client-ca-file": string(s.ClientCA)}
	if len(s.ProxyCA) > 0 {
		data["requestheader-client-ca-file"] = string(s.ProxyCA)
		data["requestheader-allowed-names"] = `["front-proxy-client"]`
		data["requestheader-username-headers"] = `["X-Remote-User"]`
		data["requestheader-uid-headers"] = `["X-Remote-Uid"]`
		data["requestheader-group-headers"] = `["X-Remote-Group"]`
		data["requestheader-extra-headers-prefix"] = `["X-Remote-Extra-"]`
	}
	return append(out, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "extension-apiserver-authentication"}, Data: data})
}

func (s System) service() []api.Object {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}
	labels := func(kv ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = kv[i+1]
		}
		return out
	}
	family, kind := corev1.IPv4Protocol, discoveryv1.AddressTypeIPv4
	if s.ServiceRanges[0].Addr().Is6() {
		family, kind = corev1.IPv6Protocol, discoveryv1.AddressTypeIPv6
	}
	single, ip := corev1.IPFamilyPolicySingleStack, s.APIServerIP().String()
	svc := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Type:           corev1.ServiceTypeClusterIP,
		ClusterIP:      ip,
		ClusterIPs:     []string{ip},
		IPFamilies:     []corev1.IPFamily{family},
		IPFamilyPolicy: &single,
		Ports:          []corev1.ServicePort{{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(s.Port)}},
	}}
	svc.Labels = labels("provider", "kubernetes", "component", "apiserver")
	name, tcp, ready := "https", corev1.ProtocolTCP, true
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: kind, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &s.Port, Protocol: &tcp}}}
	slice.Labels = labels(discoveryv1.LabelServiceName, "kubernetes")
	ends := &corev1.Endpoints{ObjectMeta: meta} //nolint:staticcheck // clients still read it
	ends.Labels = labels(discoveryv1.LabelSkipMirror, "true")
	var addresses []corev1.EndpointAddress
	for _, a := range s.Addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{a.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
		addresses = append(addresses, corev1.EndpointAddress{IP: a.String()})
	}
	if len(addresses) > 0 {
		ends.Subsets = []corev1.EndpointSubset{{Addresses: addresses, Ports: []corev1.EndpointPort{{Name: name, Port: s.Port, Protocol: tcp}}}}
	}
	return []api.Object{svc, ends, slice}
}

func systemPriorities() []*schedulingv1.PriorityClass {
	policy := corev1.PreemptLowerPriority
	class := func(name string, value int32, text string) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, Description: text, PreemptionPolicy: &policy}
	}
	return []*schedulingv1.PriorityClass{
		class("system-node-critical", 2000001000, "Used for system critical pods that must not be moved from their current node."),
		class("system-cluster-critical", 2000000000, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
	}
}

// systemPriority finds a built-in class; nil when name is none.
func systemPriority(name string) *schedulingv1.PriorityClass {
	for _, c := range systemPriorities() {
		if c.Name == name {
			return c
		}
	}
	return nil
}
