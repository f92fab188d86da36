package proxy

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpoint is one place a connection can go.
type endpoint struct {
	addr  netip.AddrPort
	local bool // on this node
}

// choice is the endpoints of one Service port and family: all that may be used, and those of
// them on this node that a Local policy uses.
type choice struct {
	all, here []endpoint
}

// choose follows KEP-1669: ready endpoints; without any, those that are terminating but still serve.
// all and here make that choice each for itself. Sorted, without duplicates.
func choose(eps []*discoveryv1.EndpointSlice, port corev1.ServicePort, isV6 bool, node string) choice {
	var ready, serving []endpoint
	for _, s := range eps {
		if (s.AddressType == discoveryv1.AddressTypeIPv6) != isV6 || s.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		n, ok := slicePort(s, port)
		if !ok {
			continue
		}
		for _, e := range s.Endpoints {
			if len(e.Addresses) == 0 {
				continue
			}
			ip, err := netip.ParseAddr(e.Addresses[0])
			if err != nil || ip.Is6() != isV6 || ip.Is4In6() {
				continue
			}
			x := endpoint{netip.AddrPortFrom(ip, n), e.NodeName != nil && *e.NodeName == node && node != ""}
			switch c := e.Conditions; {
			case c.Ready == nil || *c.Ready:
				ready = append(ready, x)
			case isTrue(c.Serving) && isTrue(c.Terminating):
				serving = append(serving, x)
			}
		}
	}
	ready, serving = tidy(ready), tidy(serving)
	return choice{all: first(ready, serving), here: first(onNode(ready), onNode(serving))}
}

func isTrue(b *bool) bool { return b != nil && *b }

func slicePort(s *discoveryv1.EndpointSlice, port corev1.ServicePort) (uint16, bool) {
	for _, p := range s.Ports {
		name, proto := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			proto = *p.Protocol
		}
		if p.Port != nil && name == port.Name && proto == protocolOf(port) {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

func protocolOf(p corev1.ServicePort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}

func tidy(eps []endpoint) []endpoint {
	slices.SortFunc(eps, func(a, b endpoint) int {
		if c := a.addr.Compare(b.addr); c != 0 {
			return c
		}
		return -cmp.Compare(boolInt(a.local), boolInt(b.local))
	})
	return slices.CompactFunc(eps, func(a, b endpoint) bool { return a.addr == b.addr })
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func first(a, b []endpoint) []endpoint {
	if len(a) > 0 {
		return a
	}
	return b
}

func onNode(eps []endpoint) []endpoint {
	var out []endpoint
	for _, e := range eps {
		if e.local {
			out = append(out, e)
		}
	}
	return out
}
