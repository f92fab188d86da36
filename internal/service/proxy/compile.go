package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/dhow-project/dhow/internal/linux/nft"
)

// claim is one element a Service wants in a set, or a chain that it needs (set is chains, key its name), or a set
// that such a chain needs (set is sets); see parts. What is in a chain is the same for all who claim it.
type claim struct {
	set   string
	key   string // bytes of the element's key
	end   string // bytes of the last key of a range
	value string // bytes of its value; of a chain, see stickyText
	to    string // chain a verdict goes to, or drop
	udp   bool   // value is an endpoint that UDP is sent to
}

const (
	chains    = "chain"
	sets      = "set"
	dropping  = "drop"
	rejecting = "refuse" // reject is a word of nft's
)

// compiler turns one Service into claims. group gives a number to a name, unique among all Services,
// and the same one every time.
type compiler struct {
	node  string
	group func(name string) uint32
}

// compile is what a Service means. It has no side effects but group's.
func (c compiler) compile(svc *corev1.Service, eps []*discoveryv1.EndpointSlice) []claim {
	if svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.Spec.ClusterIP == "" {
		return nil
	}
	var out claims
	for _, s := range []side{v4(), v6()} {
		addresses := frontends(svc, s.v6)
		if len(addresses.cluster) == 0 {
			continue // not of this family
		}
		for _, ip := range addresses.cluster {
			out.add(setIPs+s.n, nft.AppendAddr(nil, ip), nil, "")
		}
		for _, port := range svc.Spec.Ports {
			if proto := protocolNumber(port); proto != 0 {
				c.port(&out, s, svc, port, proto, addresses, choose(eps, port, s.v6, c.node))
			}
		}
	}
	return out
}

type claims []claim

func (cs *claims) add(set string, key, value []byte, to string) {
	*cs = append(*cs, claim{set: set, key: string(key), value: string(value), to: to})
}

// addressList is where a Service listens, in one family.
type addressList struct {
	cluster, external, balancer []netip.Addr
	sources                     []netip.Prefix // that may use balancer, when ranged
	ranged                      bool
}

func frontends(svc *corev1.Service, isV6 bool) addressList {
	var a addressList
	ips := svc.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{svc.Spec.ClusterIP}
	}
	a.cluster = parse(ips, isV6)
	a.external = parse(svc.Spec.ExternalIPs, isV6)
	var balancer []string
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		for _, in := range svc.Status.LoadBalancer.Ingress {
			// KEP-1860: a Proxy-mode address must be reached through the balancer itself.
			if in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP {
				balancer = append(balancer, in.IP)
			}
		}
	}
	a.balancer = parse(balancer, isV6)
	a.sources, a.ranged = sources(svc, isV6), len(svc.Spec.LoadBalancerSourceRanges) > 0
	return a
}

func sources(svc *corev1.Service, isV6 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, r := range svc.Spec.LoadBalancerSourceRanges {
		if p, err := netip.ParsePrefix(strings.TrimSpace(r)); err == nil && p.Addr().Is6() == isV6 {
			out = append(out, p.Masked())
		}
	}
	// Two ranges of which one holds the other would be one element too many.
	return slices.DeleteFunc(slices.Clone(out), func(p netip.Prefix) bool {
		return slices.ContainsFunc(out, func(q netip.Prefix) bool { return q.Bits() < p.Bits() && q.Contains(p.Addr()) })
	})
}

// last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func parse(in []string, isV6 bool) []netip.Addr {
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, s := range in {
		if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() == isV6 && !seen[ip] {
			seen[ip] = true
			out = append(out, ip)
		}
	}
	return out
}

func protocolNumber(p corev1.ServicePort) byte {
	switch protocolOf(p) {
	case corev1.ProtocolTCP:
		return nft.TCP
	case corev1.ProtocolUDP:
		return nft.UDP
	case corev1.ProtocolSCTP:
		return nft.SCTP
	}
	return 0
}

// groups of endpoints of one port.
type groups struct {
	choice
	allV, hereV string // how to choose one: "pick-3", "lpick-1", "sticky-7"; empty without endpoints
	wait        int32  // affinity
	proto       byte
}

func (c compiler) port(out *claims, s side, svc *corev1.Service, port corev1.ServicePort, proto byte, at addressList, ch choice) {
	g := c.groups(s, svc, port, proto, ch)
	inside := orElse(g.allV, rejecting)
	if p := svc.Spec.InternalTrafficPolicy; p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal {
		inside = orElse(g.hereV, dropping)
	}
	outside := rejecting
	switch {
	case g.allV == "":
	case svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal:
		// Without an endpoint here the visitor is dropped: the balancer should have asked another node.
		outside = "local-" + g.allV + "/" + orElse(g.hereV, dropping)
	default:
		outside = "outside-" + g.allV
	}
	for _, ip := range at.cluster {
		c.frontend(out, setVIP, s, nft.AppendAddr(nil, ip), uint16(port.Port), g, inside)
	}
	for _, ip := range at.external {
		c.frontend(out, setVIP, s, nft.AppendAddr(nil, ip), uint16(port.Port), g, outside)
	}
	for _, ip := range at.balancer {
		way := outside
		if at.ranged && way != rejecting {
			way = "ranged-" + way
			out.sources(s, nft.AppendPort(nft.AppendProto(nft.AppendAddr(nil, ip), proto), uint16(port.Port)), at.sources)
		}
		c.frontend(out, setVIP, s, nft.AppendAddr(nil, ip), uint16(port.Port), g, way)
	}
	if port.NodePort != 0 {
		c.frontend(out, setPort, s, nil, uint16(port.NodePort), g, outside)
	}
	for _, e := range ch.all {
		if e.local {
			ip := nft.AppendAddr(nil, e.addr.Addr())
			out.add(setSelf+s.n, append(ip, ip...), nil, "")
		}
	}
}

func orElse(verb, otherwise string) string {
	if verb == "" {
		return otherwise
	}
	return verb
}

func (c compiler) groups(s side, svc *corev1.Service, port corev1.ServicePort, proto byte, ch choice) groups {
	g := groups{choice: ch, wait: affinity(svc), proto: proto}
	if !usesLocal(svc) {
		g.here = nil
	}
	verb := func(plain, suffix string, eps []endpoint) string {
		switch {
		case len(eps) == 0:
			return ""
		case g.wait > 0:
			return fmt.Sprintf("sticky-%d", c.group(fmt.Sprintf("%s/%s v%s%s", port.Name, protocolOf(port), s.n, suffix)))
		}
		return fmt.Sprintf("%s-%d", plain, len(eps))
	}
	g.allV, g.hereV = verb("pick", "", g.all), verb("lpick", " local", g.here)
	return g
}

func usesLocal(svc *corev1.Service) bool {
	p := svc.Spec.InternalTrafficPolicy
	return svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal || p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal
}

// affinity in seconds, 0 for none.
func affinity(svc *corev1.Service) int32 {
	if svc.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := svc.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return *c.ClientIP.TimeoutSeconds
	}
	return corev1.DefaultClientIPServiceAffinitySeconds
}

// sources claims who may visit a frontend.
func (cs *claims) sources(s side, front []byte, from []netip.Prefix) {
	for _, p := range from {
		front := front[:len(front):len(front)]
		cs.add(setFrom+s.n, nft.AppendAddr(front, p.Addr()), nil, "")
		(*cs)[len(*cs)-1].end = string(nft.AppendAddr(front, last(p)))
	}
}

// frontend claims one address and port, the way from there, the chains of that way and what those look up.
func (c compiler) frontend(out *claims, set string, s side, addr []byte, port uint16, g groups, way string) {
	key := nft.AppendPort(nft.AppendProto(addr, g.proto), port)
	if way != dropping && way != rejecting {
		way = set + s.n + "-" + way
		for _, name := range needs(way) {
			out.chain(set, s, name, key, g)
		}
	}
	out.add(set+s.n, key, nil, way)
}

func (cs *claims) chain(front string, s side, name string, key []byte, g groups) {
	verb, args, _ := strings.Cut(strings.TrimPrefix(name, front+s.n+"-"), "-")
	eps := g.all
	if verb+"-"+args == g.hereV {
		eps = g.here
	}
	wanted := claim{set: chains, key: name}
	switch verb {
	case "pick", "lpick":
		for i, e := range eps {
			cs.add(s.numbered(front, verb, i), key, nft.AppendPort(nft.AppendAddr(nil, e.addr.Addr()), e.addr.Port()), "")
			(*cs)[len(*cs)-1].udp = g.proto == nft.UDP
		}
	case "sticky":
		group := stickyGroup{proto: g.proto, wait: time.Duration(g.wait) * time.Second}
		for _, e := range eps {
			group.endpoints = append(group.endpoints, e.addr)
		}
		wanted.value, wanted.udp = group.String(), g.proto == nft.UDP
	}
	*cs = append(*cs, wanted)
}
