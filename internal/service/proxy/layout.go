package proxy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/linux/nft"
)

// The table, for IPv4 (the IPv6 twin ends in 6). Capital words are data:
//
//	prerouting, output ─▶ services
//	    daddr.proto.dport ──────────────── VIP4 ──▶ way, group, group of this node's endpoints
//	    local address: proto.dport ────── PORT4 ──▶ the same
//	    way ── WAYS ──▶ goto pick / sticky / outside / local / reject, or drop
//	    a cluster IP without that port ──▶ reject
//
//	pick-N      dnat to EP4[group . random 0..N-1]
//	sticky-N-T  the same, but SEEN4[group . saddr] first, if still LIVE4[address.port.group]
//	outside-…   mark for masquerading, then pick
//	ranged-…    drop who is not in FROM4, then as the rest says
//	local-…+…   from a pod or this host: all endpoints; from elsewhere: only this node's, not masqueraded
//
// There is one pick chain per number of endpoints in use, not per Service: a Service is only elements, so a
// change costs what changed. Chains appear with their first user and go with their last. Ways are
// numbers, not verdicts in VIP4 itself, because the kernel checks every verdict of a map again whenever one is added.
//
// Only the first packet of a connection comes here; connection tracking keeps the rest where it went.

// masqueradeMark is the bit that asks for masquerading, the same one that kube-proxy uses.
const masqueradeMark = 0x4000

// side holds what differs between the families.
type side struct {
	v6       bool
	addr     nft.Type
	src, dst nft.Field
	match    nft.Stmt
	words    int    // registers of an address
	n        string // suffix of names
}

func v4() side {
	return side{addr: nft.IPv4Type(), src: nft.SAddr4(), dst: nft.DAddr4(), match: nft.V4(), words: 1, n: "4"}
}

func v6() side {
	return side{v6: true, addr: nft.IPv6Type(), src: nft.SAddr6(), dst: nft.DAddr6(), match: nft.V6(), words: 4, n: "6"}
}

// Sets, by role.
const (
	setVIP  = "vip"  // addr.proto.port → way.group.group
	setPort = "port" // proto.port of a local address → way.group.group
	setEP   = "ep"   // group.index → addr.port
	setIPs  = "ips"  // cluster IPs
	setSelf = "self" // addr.addr of this node's endpoints
	setSeen = "seen" // group.client → addr.port, filled by rules
	setLive = "live" // addr.port.group of groups with affinity
	setFrom = "from" // addr.proto.port.client of balancers' addresses with source ranges
	setWays = "ways" // way → verdict; both families
)

// seenSize bounds what visitors can make the kernel remember.
const seenSize = 1 << 18

func (s side) sets() []nft.Set {
	number, proto, port := nft.NumberType(), nft.ProtoType(), nft.PortType()
	vip, np, ep := []nft.Type{s.addr, proto, port}, []nft.Type{proto, port}, []nft.Type{s.addr, port}
	sets := []nft.Set{
		{Name: setVIP, Key: vip, Value: []nft.Type{number, number, number}},
		{Name: setPort, Key: np, Value: []nft.Type{number, number, number}},
		{Name: setEP, Key: []nft.Type{number, number}, Value: ep},
		{Name: setFrom, Key: []nft.Type{s.addr, proto, port, s.addr}, Ranges: true},
		{Name: setIPs, Key: []nft.Type{s.addr}},
		{Name: setSelf, Key: []nft.Type{s.addr, s.addr}},
		{Name: setSeen, Key: []nft.Type{number, s.addr}, Value: ep, Dynamic: true, Size: seenSize},
		{Name: setLive, Key: []nft.Type{s.addr, port, number}},
	}
	for i := range sets {
		sets[i].Name += s.n
	}
	return sets
}

// table is the frame that never changes while the proxy runs.
func table(name string, podCIDRs []netip.Prefix) nft.Table {
	a, b := v4(), v6()
	t := nft.Table{Name: TableName(name), Sets: append(a.sets(), b.sets()...)}
	t.Sets = append(t.Sets, nft.Set{Name: setWays, Key: []nft.Type{nft.NumberType()}, Verdicts: true})
	services := append(a.serviceRules(podCIDRs), b.serviceRules(podCIDRs)...)
	t.Chains = []nft.Chain{
		{Name: "prerouting", Hook: nft.DNATPrerouting(), Rules: []nft.Rule{{nft.Goto("services")}}},
		{Name: "output", Hook: nft.DNATOutput(), Rules: []nft.Rule{{nft.Goto("services")}}},
		{Name: "services", Rules: services},
		{Name: "reject", Rules: []nft.Rule{
			{nft.Proto(nft.TCP), nft.ResetTCP()}, {nft.Proto(nft.UDP), nft.RejectPort()}, {nft.Proto(nft.SCTP), nft.RejectPort()},
		}},
		{Name: "postrouting", Hook: nft.SNATPostrouting(), Rules: []nft.Rule{
			{nft.Has(nft.Mark(), masqueradeMark), nft.ClearMark(masqueradeMark), nft.Masquerade()},
			{a.match, nft.In(setSelf+a.n, a.src, a.dst), nft.Masquerade()},
			{b.match, nft.In(setSelf+b.n, b.src, b.dst), nft.Masquerade()},
		}},
	}
	return t
}

func (s side) serviceRules(podCIDRs []netip.Prefix) []nft.Rule {
	foreign := nft.Rule{s.match, nft.In(setIPs+s.n, s.dst)}
	for _, p := range podCIDRs {
		if p.Addr().Is6() == s.v6 {
			foreign = append(foreign, nft.NotWithin(s.src, p))
		}
	}
	return []nft.Rule{
		append(foreign, nft.SetMark(masqueradeMark)),
		{s.match, s.front(setVIP), nft.Map(setVIP+s.n, 0, 0), nft.VMapAt(setWays, 0)},
		{s.match, nft.Local(), s.front(setPort), nft.Map(setPort+s.n, 0, 0), nft.VMapAt(setWays, 0)},
		{s.match, nft.In(setIPs+s.n, s.dst), nft.Goto("reject")},
	}
}

// Chains that come and go are wholly described by their name:
//
//	vip4-pick-3   port6-sticky-2-10800   port4-outside-pick-3   vip4-local-pick-3+lpick-1   vip4-local-pick-3+drop
//
// so two Services that need the same chain share it.

// front loads the key of a frontend into the first registers.
func (s side) front(set string) nft.Stmt {
	if set == setVIP {
		return nft.Load(0, s.dst, nft.L4Proto(), nft.DPort())
	}
	return nft.Load(0, nft.L4Proto(), nft.DPort())
}

// Registers after Map(front): way, group of all, group of this node's.
const (
	regAll  = 1
	regHere = 2
)

// chain builds a chain from its name; podCIDRs are baked into local ones.
func chain(name string, podCIDRs []netip.Prefix) nft.Chain {
	front, rest, _ := strings.Cut(name, "-")
	s := v4()
	if strings.HasSuffix(front, "6") {
		s = v6()
	}
	front = front[:len(front)-1]
	c := nft.Chain{Name: name}
	verb, args, _ := strings.Cut(rest, "-")
	switch verb {
	case "pick", "lpick":
		n, _ := strconv.Atoi(args)
		c.Rules = []nft.Rule{s.pick(front, groupOf(verb), n)}
	case "sticky", "lsticky":
		n, seconds, _ := strings.Cut(args, "-")
		count, _ := strconv.Atoi(n)
		t, _ := strconv.Atoi(seconds)
		c.Rules = s.sticky(front, groupOf(verb), count, time.Duration(t)*time.Second)
	case "outside":
		c.Rules = []nft.Rule{{nft.SetMark(masqueradeMark)}, {nft.Goto(front + s.n + "-" + args)}}
	case "ranged":
		c.Rules = []nft.Rule{
			{nft.Load(0, s.dst, nft.L4Proto(), nft.DPort(), s.src), nft.Member(setFrom+s.n, 0), nft.Goto(front + s.n + "-" + args)},
			{nft.Drop()},
		}
	case "local":
		all, here, _ := strings.Cut(args, "+")
		last := nft.Drop()
		if here != "drop" {
			last = nft.Goto(front + s.n + "-" + here)
		}
		c.Rules = s.local(front+s.n+"-"+all, last, podCIDRs)
	}
	return c
}

func groupOf(verb string) int {
	if strings.HasPrefix(verb, "l") {
		return regHere
	}
	return regAll
}

func (s side) pick(front string, group, n int) nft.Rule {
	return nft.Rule{s.front(front), nft.Map(front+s.n, 0, 0), nft.Load(group+1, nft.Random(n)), nft.Map(setEP+s.n, group, 0), nft.DNATTo(s.v6, 0)}
}

// sticky: from register group on there are
//
//	group | client | address port | group again, index
//
// so that each look-up finds its key in one piece: seen wants group.client, live address.port.group, ep group.index.
func (s side) sticky(front string, group, n int, timeout time.Duration) []nft.Rule {
	to := group + 1 + s.words
	again := to + s.words + 1
	begin := nft.Rule{s.front(front), nft.Map(front+s.n, 0, again-group), s.front(front), nft.Map(front+s.n, 0, 0), nft.Load(group+1, s.src)}
	known := append(begin[:len(begin):len(begin)], nft.Map(setSeen+s.n, group, to), nft.Member(setLive+s.n, to))
	// Updating an element renews its time but keeps its value: one that leads nowhere has to go first.
	fresh := append(begin[:len(begin):len(begin)], nft.Load(again+1, nft.Random(n)), nft.Map(setEP+s.n, again, to), nft.Forget(setSeen+s.n, group, to))
	done := []nft.Stmt{nft.Remember(setSeen+s.n, group, to, timeout), nft.DNATTo(s.v6, to)}
	return []nft.Rule{append(known, done...), append(fresh, done...)}
}

// local: whoever is inside the cluster may use all endpoints of an external address (KEP-2086 leaves it so).
func (s side) local(all string, last nft.Stmt, podCIDRs []netip.Prefix) []nft.Rule {
	var rules []nft.Rule
	for _, p := range podCIDRs {
		if p.Addr().Is6() == s.v6 {
			rules = append(rules, nft.Rule{nft.Within(s.src, p), nft.Goto(all)})
		}
	}
	return append(rules,
		nft.Rule{nft.FromLocal(), nft.SetMark(masqueradeMark), nft.Goto(all)},
		nft.Rule{last})
}

// needs are the chain and those it goes to.
func needs(name string) []string {
	front, rest, _ := strings.Cut(name, "-")
	verb, args, _ := strings.Cut(rest, "-")
	switch verb {
	case "ranged":
		return append([]string{name}, needs(front+"-"+args)...)
	case "outside":
		return []string{name, front + "-" + args}
	case "local":
		all, here, _ := strings.Cut(args, "+")
		out := []string{name, front + "-" + all}
		if here != dropping {
			out = append(out, front+"-"+here)
		}
		return out
	}
	return []string{name}
}
