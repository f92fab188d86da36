package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/dhow-project/dhow/internal/api/check"
)

func isHeadless(o *corev1.Service) bool {
	return len(o.Spec.ClusterIPs) == 1 && o.Spec.ClusterIPs[0] == corev1.ClusterIPNone
}

func serviceValidate(o *corev1.Service) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	errs := check.Join(
		serviceType(p, o),
		servicePorts(p.Child("ports"), o),
		check.Labels(p.Child("selector"), s.Selector),
		sessionAffinity(p, s),
		clusterIPs(p, o),
		check.OneOf(p.Child("type"), s.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort),
		balancer(p, s),
		trafficPolicies(p, o),
	)
	for i, ip := range s.ExternalIPs {
		ep := p.Child("externalIPs").Index(i)
		if es := check.LegacyIP(ep, ip); len(es) > 0 {
			errs = append(errs, es...)
		} else {
			errs = append(errs, check.UnicastIP(ep, ip)...)
		}
	}
	return errs
}

func serviceType(p *field.Path, o *corev1.Service) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	if len(s.Ports) == 0 && !isHeadless(o) && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(p.Child("ports"), ""))
	}
	switch s.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if isHeadless(o) {
			errs = append(errs, field.Invalid(p.Child("clusterIPs").Index(0), s.ClusterIPs[0], fmt.Sprintf("may not be set to 'None' for %s services", s.Type)))
		}
	case corev1.ServiceTypeExternalName:
		for _, f := range []struct {
			name string
			set  bool
		}{{"clusterIPs", len(s.ClusterIPs) > 0}, {"ipFamilies", len(s.IPFamilies) > 0}, {"ipFamilyPolicy", s.IPFamilyPolicy != nil}} {
			if f.set {
				errs = append(errs, field.Forbidden(p.Child(f.name), "may not be set for ExternalName services"))
			}
		}
		if name := strings.TrimSuffix(s.ExternalName, "."); name != "" {
			errs = append(errs, check.DNSSubdomain(p.Child("externalName"), name)...)
		} else {
			errs = append(errs, field.Required(p.Child("externalName"), ""))
		}
	}
	return errs
}

func servicePorts(p *field.Path, o *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	s := &o.Spec
	type pair struct {
		protocol corev1.Protocol
		port     int32
	}
	names, ports, nodePorts := map[string]bool{}, map[pair]bool{}, map[pair]bool{}
	for i := range s.Ports {
		port, ip := &s.Ports[i], p.Index(i)
		if port.Name == "" {
			if len(s.Ports) > 1 {
				errs = append(errs, field.Required(ip.Child("name"), ""))
			}
		} else {
			errs = append(errs, check.DNSLabel(ip.Child("name"), port.Name)...)
			if names[port.Name] {
				errs = append(errs, field.Duplicate(ip.Child("name"), port.Name))
			}
			names[port.Name] = true
		}
		errs = append(errs, check.Port(ip.Child("port"), port.Port)...)
		errs = append(errs, check.OneOf(ip.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
		errs = append(errs, check.PortOrName(ip.Child("targetPort"), port.TargetPort)...)
		if port.AppProtocol != nil {
			errs = append(errs, check.QualifiedName(ip.Child("appProtocol"), *port.AppProtocol)...)
		}
		if s.Type == corev1.ServiceTypeClusterIP && port.NodePort != 0 {
			errs = append(errs, field.Forbidden(ip.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		if port.NodePort != 0 {
			if nodePorts[pair{port.Protocol, port.NodePort}] {
				errs = append(errs, field.Duplicate(ip.Child("nodePort"), port.NodePort))
			}
			nodePorts[pair{port.Protocol, port.NodePort}] = true
		}
		if ports[pair{port.Protocol, port.Port}] {
			errs = append(errs, field.Duplicate(ip, corev1.ServicePort{Protocol: port.Protocol, Port: port.Port}))
		}
		ports[pair{port.Protocol, port.Port}] = true
	}
	return errs
}

func sessionAffinity(p *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	errs := check.OneOf(p.Child("sessionAffinity"), s.SessionAffinity, corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone)
	cp, c := p.Child("sessionAffinityConfig"), s.SessionAffinityConfig
	switch {
	case s.SessionAffinity == corev1.ServiceAffinityNone && c != nil:
		errs = append(errs, field.Forbidden(cp, fmt.Sprintf("must not be set when session affinity is %s", corev1.ServiceAffinityNone)))
	case s.SessionAffinity != corev1.ServiceAffinityClientIP:
	case c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil:
		errs = append(errs, field.Required(cp, fmt.Sprintf("when session affinity type is %s", corev1.ServiceAffinityClientIP)))
	default:
		const longest = 86400
		if t := *c.ClientIP.TimeoutSeconds; t <= 0 || t > longest {
			errs = append(errs, field.Invalid(cp.Child("clientIP", "timeoutSeconds"), t, fmt.Sprintf("must be greater than 0 and less than %d", longest)))
		}
	}
	return errs
}

func clusterIPs(p *field.Path, o *corev1.Service) field.ErrorList {
	s := &o.Spec
	if s.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	var errs field.ErrorList
	cp, fp := p.Child("clusterIPs"), p.Child("ipFamilies")
	switch {
	case s.ClusterIP == "" && len(s.ClusterIPs) > 0:
		errs = append(errs, field.Invalid(cp, s.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	case s.ClusterIP != "" && len(s.ClusterIPs) == 0:
		errs = append(errs, field.Required(cp, ""))
	case s.ClusterIP != "" && s.ClusterIPs[0] != s.ClusterIP:
		errs = append(errs, field.Invalid(cp, s.ClusterIPs, "first value must match `clusterIP`"))
	}
	for i, f := range s.IPFamilies {
		errs = append(errs, check.Supported(fp.Index(i), f, corev1.IPv4Protocol, corev1.IPv6Protocol)...)
		if slices.Contains(s.IPFamilies[:i], f) {
			errs = append(errs, field.Duplicate(fp.Index(i), f))
		}
	}
	errs = append(errs, check.OptionalOf(p.Child("ipFamilyPolicy"), s.IPFamilyPolicy,
		corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack)...)
	bad := false
	for i, ip := range s.ClusterIPs {
		if i == 0 && ip == corev1.ClusterIPNone {
			if len(s.ClusterIPs) > 1 {
				bad = true
				errs = append(errs, field.Invalid(cp, s.ClusterIPs, "'None' must be the first and only value"))
			}
			continue
		}
		es := check.LegacyIP(cp.Index(i), ip)
		bad = bad || len(es) > 0
		errs = append(errs, es...)
	}
	if len(s.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(cp, s.ClusterIPs, "may only hold up to 2 values"))
	}
	if bad || isHeadless(o) {
		return errs
	}
	if len(s.ClusterIPs) > 1 {
		if dual, err := netutils.IsDualStackIPStrings(s.ClusterIPs); err != nil || !dual {
			errs = append(errs, field.Invalid(cp, s.ClusterIPs, "may specify no more than one IP for each IP family"))
		}
	}
	for i, ip := range s.ClusterIPs {
		if i < len(s.IPFamilies) && (s.IPFamilies[i] == corev1.IPv6Protocol) != netutils.IsIPv6String(ip) {
			errs = append(errs, field.Invalid(cp.Index(i), ip, fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%v]`", s.IPFamilies[i], i)))
		}
	}
	return errs
}

// balancer checks what only services of type LoadBalancer have.
func balancer(p *field.Path, s *corev1.ServiceSpec) field.ErrorList {
	const only = "may only be used when `type` is 'LoadBalancer'"
	var errs field.ErrorList
	is := s.Type == corev1.ServiceTypeLoadBalancer
	rp := p.Child("LoadBalancerSourceRanges")
	if len(s.LoadBalancerSourceRanges) > 0 && !is {
		errs = append(errs, field.Forbidden(rp, only))
	}
	for i, r := range s.LoadBalancerSourceRanges {
		errs = append(errs, check.LegacyCIDR(rp.Index(i), strings.TrimSpace(r))...)
	}
	if s.AllocateLoadBalancerNodePorts != nil && !is {
		errs = append(errs, field.Forbidden(p.Child("allocateLoadBalancerNodePorts"), only))
	}
	if is && s.AllocateLoadBalancerNodePorts == nil {
		errs = append(errs, field.Required(field.NewPath("allocateLoadBalancerNodePorts"), ""))
	}
	if c := s.LoadBalancerClass; c != nil {
		if is {
			errs = append(errs, check.QualifiedName(p.Child("loadBalancerClass"), *c)...)
		} else {
			errs = append(errs, field.Forbidden(p.Child("loadBalancerClass"), only))
		}
	}
	return errs
}

func trafficPolicies(p *field.Path, o *corev1.Service) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	ep, hp, ip := p.Child("externalTrafficPolicy"), p.Child("healthCheckNodePort"), p.Child("internalTrafficPolicy")
	switch {
	case isExternal(o):
		errs = append(errs, check.OneOf(ep, s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)...)
	case s.ExternalTrafficPolicy != "":
		errs = append(errs, field.Invalid(ep, s.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	}
	switch needs := needsHealthCheck(o); {
	case !needs && s.HealthCheckNodePort != 0:
		errs = append(errs, field.Invalid(hp, s.HealthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	case needs && s.HealthCheckNodePort != 0:
		errs = append(errs, check.Invalid(hp, s.HealthCheckNodePort, validation.IsValidPortNum(int(s.HealthCheckNodePort)))...)
	}
	if s.InternalTrafficPolicy == nil && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(ip, ""))
	}
	errs = append(errs, check.OptionalOf(ip, s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)...)
	return append(errs, check.OptionalOf(p.Child("trafficDistribution"), s.TrafficDistribution,
		corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameNode, corev1.ServiceTrafficDistributionPreferSameZone)...)
}

func serviceValidateUpdate(o, old *corev1.Service) field.ErrorList {
	s, was, p := &o.Spec, &old.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.Type != corev1.ServiceTypeExternalName && was.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, familyChange(p, o, old)...)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer && was.Type == s.Type {
		a, b := s.LoadBalancerClass, was.LoadBalancerClass
		if (a == nil) != (b == nil) || a != nil && *a != *b {
			errs = append(errs, field.Invalid(p.Child("loadBalancerClass"), s.LoadBalancerClass, "may not change once set"))
		}
	}
	if needsHealthCheck(o) && needsHealthCheck(old) && s.HealthCheckNodePort != was.HealthCheckNodePort {
		errs = append(errs, field.Forbidden(p.Child("healthCheckNodePort"), "field is immutable"))
	}
	return errs
}

// familyChange: a second family may come and go, the first stays.
func familyChange(p *field.Path, o, old *corev1.Service) field.ErrorList {
	s, was := &o.Spec, &old.Spec
	var errs field.ErrorList
	single := s.IPFamilyPolicy != nil && *s.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
	if !isHeadless(o) || !isHeadless(old) {
		cp := p.Child("clusterIPs")
		switch {
		case len(s.ClusterIPs) == 0 && len(was.ClusterIPs) > 0:
			errs = append(errs, field.Invalid(cp.Index(0), s.ClusterIPs, "primary clusterIP can not be unset"))
		default:
			for i := range min(len(s.ClusterIPs), len(was.ClusterIPs)) {
				if s.ClusterIPs[i] != was.ClusterIPs[i] {
					errs = append(errs, field.Invalid(cp.Index(i), s.ClusterIPs, "may not change once set"))
				}
			}
		}
		if len(was.ClusterIPs) > 1 && len(s.ClusterIPs) == 1 && !single {
			errs = append(errs, field.Invalid(p.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP"))
		}
	}
	if isHeadless(o) || isHeadless(old) {
		return errs
	}
	for i := range min(len(s.IPFamilies), len(was.IPFamilies)) {
		if s.IPFamilies[i] != was.IPFamilies[i] {
			errs = append(errs, field.Invalid(p.Child("ipFamilies").Index(0), s.IPFamilies, "may not change once set"))
		}
	}
	if len(was.IPFamilies) > 1 && len(s.IPFamilies) == 1 && !single {
		errs = append(errs, field.Invalid(p.Child("ipFamilyPolicy"), s.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily"))
	}
	return errs
}

func serviceValidateStatus(o, _ *corev1.Service) field.ErrorList {
	p := field.NewPath("status", "loadBalancer", "ingress")
	if o.Spec.Type != corev1.ServiceTypeLoadBalancer && len(o.Status.LoadBalancer.Ingress) > 0 {
		return check.One(field.Forbidden(p, "may only be used when `spec.type` is 'LoadBalancer'"))
	}
	var errs field.ErrorList
	for i, in := range o.Status.LoadBalancer.Ingress {
		ip := p.Index(i)
		if in.IP != "" {
			errs = append(errs, check.LegacyIP(ip.Child("ip"), in.IP)...)
		}
		switch {
		case in.IP != "" && in.IPMode == nil:
			errs = append(errs, field.Required(ip.Child("ipMode"), "must be specified when `ip` is set"))
		case in.IP == "" && in.IPMode != nil:
			errs = append(errs, field.Forbidden(ip.Child("ipMode"), "may not be specified when `ip` is not set"))
		default:
			errs = append(errs, check.OptionalOf(ip.Child("ipMode"), in.IPMode, corev1.LoadBalancerIPModeProxy, corev1.LoadBalancerIPModeVIP)...)
		}
		if in.Hostname != "" {
			errs = append(errs, check.DNSSubdomain(ip.Child("hostname"), in.Hostname)...)
			if netutils.ParseIPSloppy(in.Hostname) != nil {
				errs = append(errs, field.Invalid(ip.Child("hostname"), in.Hostname, "must be a DNS name, not an IP address"))
			}
		}
	}
	return errs
}
