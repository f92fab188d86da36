package proxy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/nft"
)

// The table, for IPv4 (the IPv6 twin ends in 6). Capital words are data:
//
//	prerouting, output ─▶ services
//	    daddr.proto.dport ── VIP4 ──▶ goto pick / sticky / outside / local / reject, or drop
//	    local address: proto.dport ── PORT4 ──▶ the same
//	    a cluster IP without that port ──▶ reject
//
//	pick-N      group = ID4[daddr.proto.dport];  dnat to EP4[group . random 0..N-1]
//	sticky-N-T  the same, but SEEN4[group . saddr] first, if still LIVE4[address.port.group]
//	outside-…   mark for masquerading, then pick
//	local-L-N   from a pod or this host: as outside; from elsewhere: only this node's endpoints, LID4, no masquerading
//
// There is one pick chain per number of endpoints in use, not per Service: a Service is only elements, so a
// change costs what changed. Chains appear with their first user and go with their last.
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
	setVIP     = "vip"     // addr.proto.port → verdict
	setPort    = "port"    // proto.port of a local address → verdict
	setVIPID   = "id"      // addr.proto.port → group
	setPortID  = "portid"  // proto.port → group
	setVIPLID  = "lid"     // addr.proto.port → group of this node's endpoints
	setPortLID = "portlid" // proto.port → group of this node's endpoints
	setEP      = "ep"      // group.index → addr.port
	setIPs     = "ips"     // cluster IPs
	setSelf    = "self"    // addr.addr of this node's endpoints
	setSeen    = "seen"    // group.client → addr.port, filled by rules
	setLive    = "live"    // addr.port.group of groups with affinity
)

// seenSize bounds what visitors can make the kernel remember.
const seenSize = 1 << 18

func (s side) sets() []nft.Set {
	number, proto, port := nft.NumberType(), nft.ProtoType(), nft.PortType()
	vip, np, ep := []nft.Type{s.addr, proto, port}, []nft.Type{proto, port}, []nft.Type{s.addr, port}
	sets := []nft.Set{
		{Name: setVIP, Key: vip, Verdicts: true},
		{Name: setPort, Key: np, Verdicts: true},
		{Name: setVIPID, Key: vip, Value: []nft.Type{number}},
		{Name: setPortID, Key: np, Value: []nft.Type{number}},
		{Name: setVIPLID, Key: vip, Value: []nft.Type{number}},
		{Name: setPortLID, Key: np, Value: []nft.Type{number}},
		{Name: setEP, Key: []nft.Type{number, number}, Value: ep},
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
	services := append(a.serviceRules(podCIDRs), b.serviceRules(podCIDRs)...)
	t.Chains = []nft.Chain{
		{Name: "prerouting", Hook: nft.DNATPrerouting(), Rules: []nft.Rule{{nft.Goto("services")}}},
		{Name: "output", Hook: nft.DNATOutput(), Rules: []nft.Rule{{nft.Goto("services")}}},
		{Name: "services", Rules: services},
		{Name: "reject", Rules: []nft.Rule{
			{nft.Proto(unix.IPPROTO_TCP), nft.ResetTCP()}, {nft.Proto(unix.IPPROTO_UDP), nft.RejectPort()}, {nft.Proto(unix.IPPROTO_SCTP), nft.RejectPort()},
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
		{s.match, nft.VMap(setVIP+s.n, s.dst, nft.L4Proto(), nft.DPort())},
		{s.match, nft.Local(), nft.VMap(setPort+s.n, nft.L4Proto(), nft.DPort())},
		{s.match, nft.In(setIPs+s.n, s.dst), nft.Goto("reject")},
	}
}

// Chains that come and go are wholly described by their name:
//
//	vip4-pick-3   port6-sticky-2-10800   port4-outside-pick-3   vip4-local-pick-3+lpick-1   vip4-local-pick-3+drop
//
// so two Services that need the same chain share it.

// group is how a frontend finds its endpoints: all of them, or this node's.
func (s side) group(front string, local bool) nft.Field {
	switch {
	case front == setVIP && local:
		return nft.Via(setVIPLID+s.n, nft.NumberType(), s.dst, nft.L4Proto(), nft.DPort())
	case front == setVIP:
		return nft.Via(setVIPID+s.n, nft.NumberType(), s.dst, nft.L4Proto(), nft.DPort())
	case local:
		return nft.Via(setPortLID+s.n, nft.NumberType(), nft.L4Proto(), nft.DPort())
	}
	return nft.Via(setPortID+s.n, nft.NumberType(), nft.L4Proto(), nft.DPort())
}

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
		c.Rules = []nft.Rule{s.pick(s.group(front, verb == "lpick"), n)}
	case "sticky", "lsticky":
		n, seconds, _ := strings.Cut(args, "-")
		count, _ := strconv.Atoi(n)
		t, _ := strconv.Atoi(seconds)
		c.Rules = s.sticky(s.group(front, verb == "lsticky"), count, time.Duration(t)*time.Second)
	case "outside":
		c.Rules = []nft.Rule{{nft.SetMark(masqueradeMark)}, {nft.Goto(front + s.n + "-" + args)}}
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

func (s side) pick(group nft.Field, n int) nft.Rule {
	return nft.Rule{nft.Load(0, group), nft.Load(1, nft.Random(n)), nft.Map(setEP+s.n, 0, 0), nft.DNATTo(s.v6, 0)}
}

// sticky: registers are  0 group, 1.. client, then address and port, then group again (and index).
func (s side) sticky(group nft.Field, n int, timeout time.Duration) []nft.Rule {
	to := 1 + s.words
	again := to + s.words + 1
	key := []nft.Stmt{nft.Load(0, group), nft.Load(1, s.src)}
	done := []nft.Stmt{nft.Remember(setSeen+s.n, 0, to, timeout), nft.DNATTo(s.v6, to)}
	known := append(append(nft.Rule{}, key...), nft.Map(setSeen+s.n, 0, to), nft.Load(again, group), nft.Member(setLive+s.n, to))
	// Updating an element renews its time but keeps its value: one that leads nowhere has to go first.
	fresh := append(append(nft.Rule{}, key...), nft.Load(again, group), nft.Load(again+1, nft.Random(n)),
		nft.Map(setEP+s.n, again, to), nft.Forget(setSeen+s.n, 0, to))
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
