package dns

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// recordsOf is what the DNS specification 1.1.0 says about one Service (sections 2.3 to 2.5).
func recordsOf(zone string, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) []record {
	name := dns.CanonicalName(svc.Name + "." + svc.Namespace + ".svc." + zone)
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		if _, ok := dns.IsDomainName(svc.Spec.ExternalName); !ok || svc.Spec.ExternalName == "" {
			return nil
		}
		if a, err := netip.ParseAddr(strings.TrimSuffix(svc.Spec.ExternalName, ".")); err == nil {
			return []record{addressRecord(name, a.Unmap())} // people do that
		}
		return []record{{name: name, kind: dns.TypeCNAME, target: dns.CanonicalName(svc.Spec.ExternalName)}}
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		return headless(name, svc, slices)
	case svc.Spec.ClusterIP != "":
		return withClusterIP(name, svc)
	}
	return nil
}

func withClusterIP(name string, svc *corev1.Service) []record {
	ips := svc.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{svc.Spec.ClusterIP}
	}
	var out []record
	for _, s := range ips {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, addressRecord(name, a), pointer(a, name))
		}
	}
	for _, p := range svc.Spec.Ports {
		if p.Name != "" {
			out = append(out, record{name: portName(p.Name, string(p.Protocol), name), kind: dns.TypeSRV, port: uint16(p.Port), target: name})
		}
	}
	return out
}

func portName(port, protocol, service string) string {
	if protocol == "" {
		protocol = "tcp"
	}
	return "_" + strings.ToLower(port) + "._" + strings.ToLower(protocol) + "." + service
}

func pointer(a netip.Addr, name string) record {
	r, err := dns.ReverseAddr(a.String())
	if err != nil {
		return record{}
	}
	return record{name: dns.CanonicalName(r), kind: dns.TypePTR, target: name}
}

// headless Services have a name for themselves and one for each ready endpoint: its hostname, or its address.
func headless(name string, svc *corev1.Service, slices []*discoveryv1.EndpointSlice) []record {
	// Without endpoints the name exists and has no address.
	out := []record{{name: name, kind: dns.TypeNone}}
	seen := map[record]bool{}
	add := func(r record) {
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	for _, s := range slices {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready && !svc.Spec.PublishNotReadyAddresses {
				continue
			}
			for _, ip := range e.Addresses {
				a, err := netip.ParseAddr(ip)
				if err != nil {
					continue
				}
				host := strings.NewReplacer(".", "-", ":", "-").Replace(a.String())
				if e.Hostname != nil && *e.Hostname != "" {
					host = strings.ToLower(*e.Hostname)
				}
				full := host + "." + name
				add(addressRecord(name, a))
				add(addressRecord(full, a))
				if e.Hostname != nil && *e.Hostname != "" {
					add(pointer(a, full))
				}
				for _, p := range s.Ports {
					if p.Name != nil && *p.Name != "" && p.Port != nil {
						protocol := "tcp"
						if p.Protocol != nil {
							protocol = string(*p.Protocol)
						}
						add(record{name: portName(*p.Name, protocol, name), kind: dns.TypeSRV, port: uint16(*p.Port), target: full})
					}
				}
			}
		}
	}
	return out
}

// podAddress reads "1-2-3-4.namespace.pod.zone", or with an IPv6 address "fd00--1".
func podAddress(name, zone string) (netip.Addr, bool) {
	rest, ok := strings.CutSuffix(name, ".pod."+zone)
	if !ok {
		return netip.Addr{}, false
	}
	ip, namespace, ok := strings.Cut(rest, ".")
	if !ok || namespace == "" || strings.Contains(namespace, ".") {
		return netip.Addr{}, false
	}
	sep := ":"
	if strings.Count(ip, "-") == 3 && !strings.Contains(ip, "--") {
		sep = "."
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(ip, "-", sep))
	return a, err == nil && a.Zone() == "" && !a.Is4In6()
}
