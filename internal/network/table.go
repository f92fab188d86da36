package network

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/conntrack"
	"github.com/dhow-project/dhow/internal/linux/nft"
)

// Published ports, and what they mean to the host's own firewall.
//
// A published port is a destination NAT of ours in prerouting (and in output for
// the host's own connections), so such a packet is forwarded, never delivered: the host's
// forward chains judge it, with the sandbox's address and port as destination, and its
// input chains do not see it. We never accept anything: each of our chains only
// drops, translates or passes on, so a packet the host's firewall drops stays dropped. A
// host that filters only in input would not filter published ports; see Firewall.
//
// A host's DROP policy at forward (Docker sets one) also stops traffic between sandboxes
// and to the outside: no table can overrule another's drop. Firewall reports it.

const redirectICMP = 5 // RFC 792

// portsMap has the published ports: those on any address, or those on one.
func portsMap(v6, anyAddress bool) nft.Set {
	s := nft.Set{Name: "ports4", Key: []nft.Type{nft.ProtoType(), nft.PortType()}, Value: []nft.Type{nft.IPv4Type(), nft.PortType()}}
	addr := nft.IPv4Type()
	if v6 {
		s.Name, addr = "ports6", nft.IPv6Type()
		s.Value = []nft.Type{addr, nft.PortType()}
	}
	if !anyAddress {
		s.Name += "at"
		s.Key = []nft.Type{addr, nft.ProtoType(), nft.PortType()}
	}
	return s
}

// selfSet has "x . x" for each sandbox with ports: the pairs of a sandbox that came back to itself.
func selfSet(v6 bool) nft.Set {
	if v6 {
		return nft.Set{Name: "self6", Key: []nft.Type{nft.IPv6Type(), nft.IPv6Type()}}
	}
	return nft.Set{Name: "self4", Key: []nft.Type{nft.IPv4Type(), nft.IPv4Type()}}
}

func tableSets() []nft.Set {
	return []nft.Set{portsMap(false, true), portsMap(false, false), portsMap(true, true), portsMap(true, false), selfSet(false), selfSet(true)}
}

// table is everything the kernel should know, from the records.
func (m *Manager) table() nft.Table {
	sets := tableSets()
	for _, r := range m.attached {
		for name, e := range elements(r) {
			for i := range sets {
				if sets[i].Name == name {
					sets[i].Elements = append(sets[i].Elements, e...)
				}
			}
		}
	}
	return nft.Table{Name: m.names.table, Sets: sets, Chains: m.chains()}
}

func (m *Manager) chains() []nft.Chain {
	publish := []nft.Rule{
		{nft.V4(), nft.DNATVia(false, "ports4at", nft.DAddr4(), nft.L4Proto(), nft.DPort())},
		{nft.V4(), nft.DNATVia(false, "ports4", nft.L4Proto(), nft.DPort())},
		{nft.V6(), nft.DNATVia(true, "ports6at", nft.DAddr6(), nft.L4Proto(), nft.DPort())},
		{nft.V6(), nft.DNATVia(true, "ports6", nft.L4Proto(), nft.DPort())},
	}
	br := m.names.bridge
	return []nft.Chain{
		// route_localnet on the bridge must not open 127.0.0.1 to sandboxes (CVE-2020-8558).
		{Name: "guard", Hook: nft.FilterPrerouting(-300), Rules: []nft.Rule{
			{nft.IIf(br), nft.V4(), nft.Within(nft.DAddr4(), netip.MustParsePrefix("127.0.0.0/8")), nft.Drop()},
			{nft.IIf(br), nft.V4(), nft.Within(nft.SAddr4(), netip.MustParsePrefix("127.0.0.0/8")), nft.Drop()},
		}},
		{Name: "publish", Rules: publish},
		{Name: "prerouting", Hook: nft.DNATPrerouting(), Rules: []nft.Rule{{nft.Local(), nft.Jump("publish")}}},
		{Name: "output", Hook: nft.DNATOutput(), Rules: []nft.Rule{
			// IPv6 has no route_localnet: [::1] cannot be redirected.
			{nft.V6(), nft.Within(nft.DAddr6(), netip.MustParsePrefix("::1/128")), nft.Return()},
			{nft.Local(), nft.Jump("publish")},
		}},
		// Sandboxes are on one link but not on one wire: "use the other one directly" would be wrong.
		{Name: "redirects", Hook: nft.FilterOutput(0), Rules: []nft.Rule{
			{nft.OIf(br), nft.V4(), nft.Proto(unix.IPPROTO_ICMP), nft.ICMP(redirectICMP), nft.Drop()},
		}},
		{Name: "postrouting", Hook: nft.SNATPostrouting(), Rules: m.masqueradeRules()},
	}
}

func (m *Manager) masqueradeRules() []nft.Rule {
	br := m.names.bridge
	rules := []nft.Rule{
		{nft.OIf(br), nft.V4(), nft.Within(nft.SAddr4(), netip.MustParsePrefix("127.0.0.0/8")), nft.Masquerade()},
		{nft.OIf(br), nft.V4(), nft.In("self4", nft.SAddr4(), nft.DAddr4()), nft.Masquerade()},
		{nft.OIf(br), nft.V6(), nft.In("self6", nft.SAddr6(), nft.DAddr6()), nft.Masquerade()},
	}
	if !m.cfg.Masquerade {
		return rules
	}
	for _, p := range m.cfg.PodCIDRs {
		fam, src, dst := family(p)
		r := nft.Rule{nft.NotOIf(br), fam, nft.Within(src, p)}
		for _, d := range m.cfg.Direct {
			if d.Addr().Is4() == p.Addr().Is4() {
				r = append(r, nft.NotWithin(dst, d))
			}
		}
		rules = append(rules, append(r, nft.Masquerade()))
	}
	return rules
}

func family(p netip.Prefix) (fam nft.Stmt, src, dst nft.Field) {
	if p.Addr().Is4() {
		return nft.V4(), nft.SAddr4(), nft.DAddr4()
	}
	return nft.V6(), nft.SAddr6(), nft.DAddr6()
}

// elements of one attachment, by set.
func elements(r *record) map[string][]nft.Element {
	out := map[string][]nft.Element{}
	if len(r.Ports) == 0 {
		return out
	}
	for _, ip := range r.IPs {
		s := selfSet(ip.Is6())
		out[s.Name] = append(out[s.Name], nft.Element{Key: nft.AppendAddr(nft.AppendAddr(nil, ip), ip)})
		for _, p := range r.Ports {
			p, hostIP, err := p.normal()
			if err != nil || !(hostIP.IsUnspecified() && p.allFamilies() || hostIP.Is4() == ip.Is4()) {
				continue
			}
			set := portsMap(ip.Is6(), hostIP.IsUnspecified())
			var key []byte
			if !hostIP.IsUnspecified() {
				key = nft.AppendAddr(nil, hostIP)
			}
			proto, _ := protocolNumber(p.Protocol)
			out[set.Name] = append(out[set.Name], nft.Element{
				Key:   nft.AppendPort(nft.AppendProto(key, proto), p.HostPort),
				Value: nft.AppendPort(nft.AppendAddr(nil, ip), p.ContainerPort),
			})
		}
	}
	return out
}

// allFamilies: no address named means IPv4 and IPv6, as for a listening socket.
func (p PortMapping) allFamilies() bool { return p.HostIP == "" }

func (m *Manager) publish(r *record) error { return m.changePorts(r, (*nft.Batch).Add) }

// unpublish closes the ports. UDP visitors are sent away at once, or they would be sent to whoever has the address next.
func (m *Manager) unpublish(r *record) error {
	err := m.changePorts(r, (*nft.Batch).Remove)
	if places := udpPlaces(r); len(places) > 0 {
		err = errors.Join(err, conntrack.ForgetUDP(places))
	}
	return err
}

func udpPlaces(r *record) map[netip.AddrPort]bool {
	places := map[netip.AddrPort]bool{}
	for _, p := range r.Ports {
		for _, ip := range r.IPs {
			if p.Protocol == "udp" {
				places[netip.AddrPortFrom(ip, p.ContainerPort)] = true
			}
		}
	}
	return places
}

func (m *Manager) changePorts(r *record, do func(*nft.Batch, nft.Set, []nft.Element)) error {
	elements := elements(r)
	if len(elements) == 0 {
		return nil
	}
	m.nftMu.Lock()
	defer m.nftMu.Unlock()
	b := m.nft.Batch(m.names.table)
	for _, s := range tableSets() {
		if e := elements[s.Name]; len(e) > 0 {
			do(b, s, e)
		}
	}
	return b.Commit()
}

// Firewall describes, one sentence each, what the host's own firewall will do to sandboxes. Empty: nothing.
func (m *Manager) Firewall() ([]string, error) {
	m.nftMu.Lock()
	defer m.nftMu.Unlock()
	foreign, err := m.nft.ForeignDrops(m.names.table)
	if err != nil {
		return nil, err
	}
	return firewallWarnings(foreign, m.names.bridge), nil
}
