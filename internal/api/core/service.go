package core

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// Service of the core group. Cluster addresses and node ports are allocated by the server between
// PrepareCreate and Validate.
func Service() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Service) *corev1.ServiceSpec { return &o.Spec },
		func(o *corev1.Service) *corev1.ServiceStatus { return &o.Status })
	return &api.Kind{
		Kind: "Service", Resource: "services",
		ShortNames: []string{"svc"},
		Categories: []string{"all"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.Service, corev1.ServiceList](corev1.SchemeGroupVersion)},
		Default:    kit.On(serviceDefault),
		PrepareCreate: func(o api.Object) {
			halves.ClearStatus(o)
			sameClusterIP(o.(*corev1.Service), nil)
		},
		PrepareUpdate: func(obj, old api.Object) {
			halves.KeepStatus(obj, old)
			serviceUpdate(obj.(*corev1.Service), old.(*corev1.Service))
		},
		Validate:       kit.To(serviceValidate),
		ValidateUpdate: kit.ToBoth(serviceValidateUpdate),
		ValidateName:   apivalidation.NameIsDNS1035Label,
		CreateOnUpdate: true,
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(serviceValidateStatus)},
			{Name: "proxy", Verbs: kit.Proxy, Body: kit.Body("", "v1", "ServiceProxyOptions")},
		},
		Columns: serviceColumns(),
		Cells:   kit.Cells(serviceCells),
		Fields: map[string]func(api.Object) string{
			"spec.clusterIP": kit.To(func(o *corev1.Service) string { return o.Spec.ClusterIP }),
			"spec.type":      kit.To(func(o *corev1.Service) string { return string(o.Spec.Type) }),
		},
	}
}

func serviceDefault(o *corev1.Service) {
	s := &o.Spec
	poddefault.SetZero(&s.SessionAffinity, corev1.ServiceAffinityNone)
	switch s.SessionAffinity {
	case corev1.ServiceAffinityNone:
		s.SessionAffinityConfig = nil
	case corev1.ServiceAffinityClientIP:
		poddefault.Set(&s.SessionAffinityConfig, corev1.SessionAffinityConfig{})
		poddefault.Set(&s.SessionAffinityConfig.ClientIP, corev1.ClientIPConfig{})
		poddefault.Set(&s.SessionAffinityConfig.ClientIP.TimeoutSeconds, corev1.DefaultClientIPServiceAffinitySeconds)
	}
	poddefault.SetZero(&s.Type, corev1.ServiceTypeClusterIP)
	for i := range s.Ports {
		p := &s.Ports[i]
		poddefault.SetZero(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if isExternal(o) {
		poddefault.SetZero(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Type != corev1.ServiceTypeExternalName {
		poddefault.Set(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		poddefault.Set(&s.AllocateLoadBalancerNodePorts, true)
		for i := range o.Status.LoadBalancer.Ingress {
			if in := &o.Status.LoadBalancer.Ingress[i]; in.IP != "" {
				poddefault.Set(&in.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
}

// isExternal tells whether traffic from outside the cluster is expected.
func isExternal(o *corev1.Service) bool {
	return o.Spec.Type == corev1.ServiceTypeLoadBalancer || o.Spec.Type == corev1.ServiceTypeNodePort ||
		o.Spec.Type == corev1.ServiceTypeClusterIP && len(o.Spec.ExternalIPs) > 0
}

// sameClusterIP keeps clusterIP and clusterIPs[0] equal: clients of either field are served.
func sameClusterIP(o, old *corev1.Service) {
	s := &o.Spec
	if old == nil {
		if s.ClusterIP != "" && len(s.ClusterIPs) == 0 {
			s.ClusterIPs = []string{s.ClusterIP}
		}
		return
	}
	was := &old.Spec
	switch {
	case s.ClusterIP != was.ClusterIP && slices.Equal(s.ClusterIPs, was.ClusterIPs):
		// A client of the single field.
		if s.ClusterIP == "" {
			s.ClusterIPs = nil
		} else if len(s.ClusterIPs) > 0 {
			s.ClusterIPs = slices.Clone(s.ClusterIPs)
			s.ClusterIPs[0] = s.ClusterIP
		} else {
			s.ClusterIPs = []string{s.ClusterIP}
		}
	case s.ClusterIP == was.ClusterIP && !slices.Equal(s.ClusterIPs, was.ClusterIPs) && len(s.ClusterIPs) == 0:
		s.ClusterIP = ""
	}
}

// serviceUpdate fills what an update by a client that replaces without knowing leaves out, and drops
// what the new type has no use for.
func serviceUpdate(o, old *corev1.Service) {
	s, was := &o.Spec, &old.Spec
	sameClusterIP(o, old)
	external := s.Type == corev1.ServiceTypeExternalName
	if !external && was.Type != corev1.ServiceTypeExternalName {
		if s.ClusterIP == "" && len(s.ClusterIPs) == 0 {
			s.ClusterIP, s.ClusterIPs = was.ClusterIP, was.ClusterIPs
		}
		if len(s.IPFamilies) == 0 {
			s.IPFamilies = was.IPFamilies
		}
		if s.IPFamilyPolicy == nil {
			s.IPFamilyPolicy = was.IPFamilyPolicy
		}
		keepNodePorts(s, was)
	}
	if external && was.Type != corev1.ServiceTypeExternalName && slices.Equal(s.ClusterIPs, was.ClusterIPs) {
		s.ClusterIP, s.ClusterIPs, s.IPFamilies, s.IPFamilyPolicy = "", nil, nil, nil
	}
	hadPorts := was.Type == corev1.ServiceTypeNodePort || was.Type == corev1.ServiceTypeLoadBalancer
	if hadPorts && (s.Type == corev1.ServiceTypeClusterIP || external) {
		dropNodePorts(s, was)
	}
	if needsHealthCheck(old) && needsHealthCheck(o) && s.HealthCheckNodePort == 0 {
		s.HealthCheckNodePort = was.HealthCheckNodePort
	}
	if needsHealthCheck(old) && !needsHealthCheck(o) && s.HealthCheckNodePort == was.HealthCheckNodePort {
		s.HealthCheckNodePort = 0
	}
	if was.Type == corev1.ServiceTypeLoadBalancer && s.Type != was.Type {
		s.AllocateLoadBalancerNodePorts = nil
		if s.LoadBalancerClass != nil && was.LoadBalancerClass != nil && *s.LoadBalancerClass == *was.LoadBalancerClass {
			s.LoadBalancerClass = nil
		}
	}
	if isExternal(old) && !isExternal(o) && s.ExternalTrafficPolicy == was.ExternalTrafficPolicy {
		s.ExternalTrafficPolicy = ""
	}
}

func portKey(p *corev1.ServicePort) string {
	return fmt.Sprintf("%s/%d/%s", p.Protocol, p.Port, p.Name)
}

func keepNodePorts(s, was *corev1.ServiceSpec) {
	if s.Type != corev1.ServiceTypeNodePort && s.Type != corev1.ServiceTypeLoadBalancer {
		return
	}
	had := map[string]int32{}
	for i := range was.Ports {
		had[portKey(&was.Ports[i])] = was.Ports[i].NodePort
	}
	used := map[string]bool{}
	for i := range s.Ports {
		used[fmt.Sprint(s.Ports[i].Protocol, s.Ports[i].NodePort)] = true
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if n := had[portKey(p)]; p.NodePort == 0 && n != 0 && !used[fmt.Sprint(p.Protocol, n)] {
			p.NodePort = n
		}
	}
}

// dropNodePorts drops the ports unless the client changed one, which then is its mistake to hear of.
func dropNodePorts(s, was *corev1.ServiceSpec) {
	had := map[string]bool{}
	for i := range was.Ports {
		had[fmt.Sprint(was.Ports[i].Protocol, was.Ports[i].NodePort)] = true
	}
	for i := range s.Ports {
		if !had[fmt.Sprint(s.Ports[i].Protocol, s.Ports[i].NodePort)] && s.Ports[i].NodePort != 0 {
			return
		}
	}
	for i := range s.Ports {
		s.Ports[i].NodePort = 0
	}
}

func needsHealthCheck(o *corev1.Service) bool {
	return o.Spec.Type == corev1.ServiceTypeLoadBalancer && o.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

func serviceColumns() []metav1.TableColumnDefinition {
	spec := corev1.ServiceSpec{}.SwaggerDoc()
	return append(kit.Columns(
		kit.Column("Type", spec["type"]), kit.Column("Cluster-IP", spec["clusterIP"]),
		kit.Column("External-IP", spec["externalIPs"]), kit.Column("Port(s)", spec["ports"]),
	), kit.Wide(kit.Column("Selector", spec["selector"]))...)
}

func serviceCells(o *corev1.Service, now time.Time) []any {
	ip := "<none>"
	if len(o.Spec.ClusterIPs) > 0 {
		ip = o.Spec.ClusterIPs[0]
	}
	ports := make([]string, len(o.Spec.Ports))
	for i, p := range o.Spec.Ports {
		ports[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort > 0 {
			ports[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
	}
	return []any{o.Name, string(o.Spec.Type), ip, externalIPs(o), kit.Or(strings.Join(ports, ","), "<none>"), kit.Age(o, now),
		labels.FormatLabels(o.Spec.Selector)}
}

func externalIPs(o *corev1.Service) string {
	switch o.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return kit.Or(strings.Join(o.Spec.ExternalIPs, ","), "<none>")
	case corev1.ServiceTypeExternalName:
		return o.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		var out []string
		for _, in := range o.Status.LoadBalancer.Ingress {
			if a := kit.Or(in.IP, in.Hostname); a != "" {
				out = append(out, a)
			}
		}
		slices.Sort(out)
		return kit.Or(strings.Join(append(slices.Compact(out), o.Spec.ExternalIPs...), ","), "<pending>")
	}
	return "<unknown>"
}
