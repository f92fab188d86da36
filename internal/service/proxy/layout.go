package proxy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/linux/nft"
)

// The table, for IPv4 (the IPv6 twin ends in 6). Capital words are data:
//
//	prerouting, output ─▶ services
//	    daddr.proto.dport ──────────────── VIP4 ──▶ goto pick / sticky / outside / ranged / local / refuse, or drop
//	    local address: proto.dport ────── PORT4 ──▶ the same
//	    a cluster IP without that port ──▶ refuse
//
//	vip4-pick-N      one of vip4-to-0 to vip4-to-(N-1), at random; vip4-lpick-N of vip4-here-0 to …
//	vip4-to-i        dnat to VIP4-TO-i[daddr.proto.dport]; vip4-here-i the same with this node's endpoints
//	vip4-sticky-G    dnat to the endpoint whose set SEEN4-G-… has saddr; without one, to any, and put saddr there
//	vip4-outside-…   mark for masquerading, then as the rest says
//	vip4-ranged-…    drop who is not in FROM4, then as the rest says
//	vip4-local-…/…   from a pod or this host: all endpoints; from elsewhere: only this node's, not masqueraded
//
// There is one pick chain per number of endpoints in use, not per Service: a Service is only elements, so a
// change costs what changed. Only affinity has chains and sets of its own, because the kernel forgets whom an endpoint
// served together with that endpoint's set. Chains and sets appear with their first user and go with their last. A map
// is looked into by one chain only, because the kernel reads all of a map when another chain begins to.
//
// Every rule is one that nft(8) can write: people list rulesets, save and restore them. So no rule uses the
// result of a look-up as the key of another; nft before 1.1.7 at least ends with a failed assertion when it reads such a rule.
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
	n        string // suffix of names
}

func v4() side {
	return side{addr: nft.IPv4Type(), src: nft.SAddr4(), dst: nft.DAddr4(), match: nft.V4(), n: "4"}
}

func v6() side {
	return side{v6: true, addr: nft.IPv6Type(), src: nft.SAddr6(), dst: nft.DAddr6(), match: nft.V6(), n: "6"}
}

// Sets, by role.
const (
	setVIP  = "vip"  // addr.proto.port → verdict
	setPort = "port" // proto.port of a local address → verdict
	setIPs  = "ips"  // cluster IPs
	setSelf = "self" // addr.addr of this node's endpoints
	setFrom = "from" // addr.proto.port.client of balancers' addresses with source ranges
	setSeen = "seen" // clients of one endpoint, filled by rules
)

// seenSize bounds what visitors of one endpoint can make the kernel remember.
const seenSize = 1 << 16

func (s side) sets() []nft.Set {
	sets := []nft.Set{
		{Name: setVIP, Key: s.front(setVIP), Verdicts: true},
		{Name: setPort, Key: s.front(setPort), Verdicts: true},
		{Name: setFrom, Key: append(s.front(setVIP), s.addr), Ranges: true},
		{Name: setIPs, Key: []nft.Type{s.addr}},
		{Name: setSelf, Key: []nft.Type{s.addr, s.addr}},
	}
	for i := range sets {
		sets[i].Name += s.n
	}
	return sets
}

// front is the key of a frontend.
func (s side) front(set string) []nft.Type {
	if set == setVIP {
		return []nft.Type{s.addr, nft.ProtoType(), nft.PortType()}
	}
	return []nft.Type{nft.ProtoType(), nft.PortType()}
}

// Sets that come and go are wholly described by their name, too:
//
//	vip4-to-0   port6-here-2   the endpoint with that number of every frontend: addr.proto.port → addr.port
//	seen4-7-10.0.0.2-8080      clients that group 7 sent to that endpoint
func setNamed(name string) nft.Set {
	front, _, _ := strings.Cut(name, "-")
	s, front := sideOf(front)
	if front == setSeen {
		return nft.Set{Name: name, Key: []nft.Type{s.addr}, Dynamic: true, Size: seenSize}
	}
	return nft.Set{Name: name, Key: s.front(front), Value: []nft.Type{s.addr, nft.PortType()}}
}

// numbered is the set of all frontends' endpoints with number i, and the chain that goes there.
func (s side) numbered(front, verb string, i int) string {
	kind := "-to-"
	if verb == "lpick" {
		kind = "-here-"
	}
	return front + s.n + kind + strconv.Itoa(i)
}

// seenSet has the clients of one endpoint.
func (s side) seenSet(group string, to netip.AddrPort) string {
	// No colons in nft's names.
	return fmt.Sprintf("%s%s-%s-%s-%d", setSeen, s.n, group, strings.ReplaceAll(to.Addr().String(), ":", "."), to.Port())
}

// sideOf splits the first word of a name.
func sideOf(word string) (s side, front string) {
	if strings.HasSuffix(word, "6") {
		return v6(), word[:len(word)-1]
	}
	return v4(), word[:len(word)-1]
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
		{Name: rejecting, Rules: []nft.Rule{
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
		{s.match, nft.VMap(setVIP+s.n, s.fields(setVIP)...)},
		{s.match, nft.Local(), nft.VMap(setPort+s.n, s.fields(setPort)...)},
		{s.match, nft.In(setIPs+s.n, s.dst), nft.Goto(rejecting)},
	}
}

// fields are a packet's key in front.
func (s side) fields(front string) []nft.Field {
	if front == setVIP {
		return []nft.Field{s.dst, nft.L4Proto(), nft.DPort()}
	}
	return []nft.Field{nft.L4Proto(), nft.DPort()}
}

// Chains that come and go are wholly described by their name, but for the endpoints of a sticky one:
//
//	vip4-pick-3   port6-sticky-7   port4-outside-pick-3   vip4-local-pick-3/lpick-1   vip4-local-pick-3/drop
//
// so two Services that need the same chain share it.

// chain builds the chain of a claim; podCIDRs are baked into local ones.
func chain(c claim, podCIDRs []netip.Prefix) nft.Chain {
	word, rest, _ := strings.Cut(c.key, "-")
	s, front := sideOf(word)
	verb, args, _ := strings.Cut(rest, "-")
	out := nft.Chain{Name: c.key}
	switch verb {
	case "pick", "lpick":
		n, _ := strconv.Atoi(args)
		for i := range n {
			out.Rules = append(out.Rules, oneOf(n, i, nft.Goto(s.numbered(front, verb, i))))
		}
	case "to", "here":
		out.Rules = []nft.Rule{{s.match, nft.DNATVia(s.v6, c.key, s.fields(front)...)}}
	case "sticky":
		out.Rules = s.sticky(args, c.value)
	case "outside":
		out.Rules = []nft.Rule{{nft.SetMark(masqueradeMark)}, {nft.Goto(word + "-" + args)}}
	case "ranged":
		out.Rules = []nft.Rule{{s.match, nft.In(setFrom+s.n, append(s.fields(setVIP), s.src)...), nft.Goto(word + "-" + args)}, {nft.Drop()}}
	case "local":
		all, here, _ := strings.Cut(args, "/")
		last := nft.Drop()
		if here != dropping {
			last = nft.Goto(word + "-" + here)
		}
		out.Rules = s.local(word+"-"+all, last, podCIDRs)
	}
	return out
}

// parts are the sets and chains that only chains like this one refer to.
func (c claim) parts() []claim {
	word, rest, _ := strings.Cut(c.key, "-")
	s, front := sideOf(word)
	verb, args, _ := strings.Cut(rest, "-")
	var out []claim
	switch verb {
	case "pick", "lpick":
		n, _ := strconv.Atoi(args)
		for i := range n {
			name := s.numbered(front, verb, i)
			out = append(out, claim{set: sets, key: name}, claim{set: chains, key: name})
		}
	case "sticky":
		for _, to := range parseSticky(c.value).endpoints {
			value := nft.AppendPort(nft.AppendAddr(nil, to.Addr()), to.Port())
			out = append(out, claim{set: sets, key: s.seenSet(args, to), value: string(value), udp: c.udp})
		}
	}
	return out
}

// oneOf makes the rule numbered i of n be the one that matches with the same chance as each after it.
func oneOf(n, i int, r ...nft.Stmt) nft.Rule {
	if i == n-1 {
		return r
	}
	return append(nft.Rule{nft.Chance(n - i)}, r...)
}

// sticky: first whoever is known, then whoever is not. Who finds no room to be remembered is served all the same.
func (s side) sticky(group, text string) []nft.Rule {
	var known, fresh []nft.Rule
	g := parseSticky(text)
	for i, to := range g.endpoints {
		seen := s.seenSet(group, to)
		remember, send := nft.Touch(seen, g.wait, s.src), nft.DNAT(to)
		known = append(known, nft.Rule{s.match, nft.Proto(g.proto), nft.In(seen, s.src), remember, send})
		fresh = append(fresh, oneOf(len(g.endpoints), i, s.match, nft.Proto(g.proto), remember, send))
	}
	return append(append(known, fresh...), nft.Rule{nft.Proto(g.proto), nft.DNAT(g.endpoints[0])})
}

// stickyGroup is what a sticky chain's claim has as its value: "6 10800 10.0.0.2:8080 10.0.0.3:8080".
type stickyGroup struct {
	proto     byte
	wait      time.Duration
	endpoints []netip.AddrPort
}

func (g stickyGroup) String() string {
	out := fmt.Sprintf("%d %d", g.proto, g.wait/time.Second)
	for _, e := range g.endpoints {
		out += " " + e.String()
	}
	return out
}

func parseSticky(text string) stickyGroup {
	words := strings.Fields(text)
	proto, _ := strconv.Atoi(words[0])
	seconds, _ := strconv.Atoi(words[1])
	g := stickyGroup{proto: byte(proto), wait: time.Duration(seconds) * time.Second}
	for _, w := range words[2:] {
		g.endpoints = append(g.endpoints, netip.MustParseAddrPort(w))
	}
	return g
}

// local: whoever is inside the cluster may use all endpoints of an external address (KEP-2086 leaves it so).
func (s side) local(all string, last nft.Stmt, podCIDRs []netip.Prefix) []nft.Rule {
	var rules []nft.Rule
	for _, p := range podCIDRs {
		if p.Addr().Is6() == s.v6 {
			rules = append(rules, nft.Rule{s.match, nft.Within(s.src, p), nft.Goto(all)})
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
		all, here, _ := strings.Cut(args, "/")
		out := []string{name, front + "-" + all}
		if here != dropping {
			out = append(out, front+"-"+here)
		}
		return out
	}
	return []string{name}
}
