package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Stmt is one match or action of a rule; its text is what nft(8) would write.
type Stmt struct {
	text  string
	exprs []expr.Any
}

func (s Stmt) String() string { return s.text }

// Rule is statements that are carried out from left to right until a match fails.
type Rule []Stmt

func (r Rule) String() string {
	parts := make([]string, len(r))
	for i, s := range r {
		parts[i] = s.text
	}
	return strings.Join(parts, " ")
}

func compare(f Field, op expr.CmpOp, sign, text string, data []byte) Stmt {
	return Stmt{f.text + " " + sign + text, append(f.load(firstReg), &expr.Cmp{Op: op, Register: firstReg, Data: data})}
}

// V4 and V6 begin every rule that reads addresses.
func V4() Stmt {
	return Stmt{"meta nfproto ipv4", nfproto(unix.NFPROTO_IPV4)}
}
func V6() Stmt {
	return Stmt{"meta nfproto ipv6", nfproto(unix.NFPROTO_IPV6)}
}

func nfproto(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: firstReg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: firstReg, Data: []byte{p}},
	}
}

// IIf, NotIIf, OIf and NotOIf match the name of the link a packet came in by or goes out by.
func IIf(name string) Stmt    { return compare(IIfName(), expr.CmpOpEq, "", name, ifname(name)) }
func NotIIf(name string) Stmt { return compare(IIfName(), expr.CmpOpNeq, "!= ", name, ifname(name)) }
func OIf(name string) Stmt    { return compare(OIfName(), expr.CmpOpEq, "", name, ifname(name)) }
func NotOIf(name string) Stmt { return compare(OIfName(), expr.CmpOpNeq, "!= ", name, ifname(name)) }

func ifname(s string) []byte {
	b := make([]byte, 16)
	copy(b, s)
	return b
}

// Proto matches the transport protocol, ICMP the type of an ICMP packet.
func Proto(p byte) Stmt { return compare(L4Proto(), expr.CmpOpEq, "", fmt.Sprint(p), []byte{p}) }
func ICMP(t byte) Stmt  { return compare(ICMPType(), expr.CmpOpEq, "", fmt.Sprint(t), []byte{t}) }

// Local matches packets to an address of this host, FromLocal those from one.
func Local() Stmt {
	return compare(DAddrType(), expr.CmpOpEq, "", "local", num(unix.RTN_LOCAL))
}
func FromLocal() Stmt {
	return compare(SAddrType(), expr.CmpOpEq, "", "local", num(unix.RTN_LOCAL))
}
func NotFromLocal() Stmt {
	return compare(SAddrType(), expr.CmpOpNeq, "!= ", "local", num(unix.RTN_LOCAL))
}

// Within and NotWithin match an address field against a prefix.
func Within(f Field, p netip.Prefix) Stmt    { return within(f, p, expr.CmpOpEq, "") }
func NotWithin(f Field, p netip.Prefix) Stmt { return within(f, p, expr.CmpOpNeq, "!= ") }

func within(f Field, p netip.Prefix, op expr.CmpOp, sign string) Stmt {
	p = p.Masked()
	n := uint32(f.typ.t.Bytes)
	mask := make([]byte, n)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	e := append(f.load(firstReg),
		&expr.Bitwise{SourceRegister: firstReg, DestRegister: firstReg, Len: n, Mask: mask, Xor: make([]byte, n)},
		&expr.Cmp{Op: op, Register: firstReg, Data: p.Addr().AsSlice()})
	return Stmt{f.text + " " + sign + p.String(), e}
}

// Has matches when any bit of mask is set in a number field.
func Has(f Field, mask uint32) Stmt {
	e := append(f.load(firstReg),
		&expr.Bitwise{SourceRegister: firstReg, DestRegister: firstReg, Len: 4, Mask: num(mask), Xor: num(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: firstReg, Data: num(0)})
	return Stmt{fmt.Sprintf("%s & %#x != 0", f.text, mask), e}
}

// In and NotIn look the fields up in a set.
func In(set string, fields ...Field) Stmt    { return lookup(set, false, fields) }
func NotIn(set string, fields ...Field) Stmt { return lookup(set, true, fields) }

func lookup(set string, invert bool, fields []Field) Stmt {
	text := concatText(fields) + " @" + set
	if invert {
		text = concatText(fields) + " != @" + set
	}
	return Stmt{text, append(loadAll(firstReg, fields), &expr.Lookup{SourceRegister: firstReg, SetName: set, Invert: invert})}
}

// VMap goes where the verdict map sends the fields.
func VMap(m string, fields ...Field) Stmt {
	return Stmt{concatText(fields) + " vmap @" + m,
		append(loadAll(firstReg, fields), &expr.Lookup{SourceRegister: firstReg, DestRegister: 0, IsDestRegSet: true, SetName: m})}
}

// DNATVia sends the packet to the address and port that map m has for the fields.
func DNATVia(v6 bool, m string, fields ...Field) Stmt {
	fam, look := "ip", &expr.Lookup{SourceRegister: firstReg, DestRegister: firstReg, IsDestRegSet: true, SetName: m}
	if v6 {
		fam = "ip6"
	}
	return Stmt{fmt.Sprintf("dnat %s to %s map @%s", fam, concatText(fields), m), append(loadAll(firstReg, fields), look, nat(v6))}
}

// DNAT sends the packet to an address and port.
func DNAT(to netip.AddrPort) Stmt {
	fam, port := "ip", binary.BigEndian.AppendUint16(nil, to.Port())
	n := nat(to.Addr().Is6())
	if to.Addr().Is6() {
		fam = "ip6"
	}
	return Stmt{fmt.Sprintf("dnat %s to %s", fam, to), []expr.Any{
		&expr.Immediate{Register: n.RegAddrMin, Data: to.Addr().AsSlice()}, &expr.Immediate{Register: n.RegProtoMin, Data: port}, n}}
}

// nat sends to the address in the first registers and the port right after it.
func nat(v6 bool) *expr.NAT {
	if v6 {
		return &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV6, RegAddrMin: firstReg, RegProtoMin: firstReg + 4}
	}
	return &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: firstReg, RegProtoMin: firstReg + 1}
}

// Chance matches one packet of n, at random.
func Chance(n int) Stmt { return compare(Random(n), expr.CmpOpEq, "", "0", num(0)) }

// Touch adds the fields to a dynamic set, or renews their time there.
func Touch(set string, timeout time.Duration, fields ...Field) Stmt {
	return Stmt{fmt.Sprintf("update @%s { %s timeout %s }", set, concatText(fields), timeout),
		append(loadAll(firstReg, fields), &expr.Dynset{SrcRegKey: firstReg, SetName: set, Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: timeout})}
}

// SetMark sets the mask bits of the packet's mark.
func SetMark(mask uint32) Stmt {
	return Stmt{fmt.Sprintf("meta mark set meta mark | %#x", mask), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: firstReg},
		&expr.Bitwise{SourceRegister: firstReg, DestRegister: firstReg, Len: 4, Mask: num(^mask), Xor: num(mask)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: firstReg},
	}}
}

// ClearMark clears the mask bits of the packet's mark.
func ClearMark(mask uint32) Stmt {
	return Stmt{fmt.Sprintf("meta mark set meta mark & ^%#x", mask), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: firstReg},
		&expr.Bitwise{SourceRegister: firstReg, DestRegister: firstReg, Len: 4, Mask: num(^mask), Xor: num(0)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: firstReg},
	}}
}

// Masquerade gives the packet the address of the link it leaves by, and a port nobody can guess.
func Masquerade() Stmt {
	return Stmt{"masquerade fully-random", []expr.Any{&expr.Masq{FullyRandom: true}}}
}

// Verdicts.
func Accept() Stmt           { return verdict("accept", expr.VerdictAccept, "") }
func Drop() Stmt             { return verdict("drop", expr.VerdictDrop, "") }
func Return() Stmt           { return verdict("return", expr.VerdictReturn, "") }
func Jump(chain string) Stmt { return verdict("jump "+chain, expr.VerdictJump, chain) }
func Goto(chain string) Stmt { return verdict("goto "+chain, expr.VerdictGoto, chain) }
func verdict(text string, k expr.VerdictKind, chain string) Stmt {
	return Stmt{text, []expr.Any{&expr.Verdict{Kind: k, Chain: chain}}}
}

// ResetTCP answers a TCP packet with RST; the rule must match TCP first.
func ResetTCP() Stmt {
	return Stmt{"reject with tcp reset", []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}}
}

// RejectPort answers with ICMP port unreachable.
func RejectPort() Stmt {
	return Stmt{"reject", []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}}}
}

func num(v uint32) []byte { return AppendNumber(nil, v) }

// Hook is where a base chain sits.
type Hook struct {
	Type     nftables.ChainType
	Num      *nftables.ChainHook
	Priority int
	text     string
}

// NAT hooks, at the usual priorities.
func DNATPrerouting() *Hook {
	return &Hook{nftables.ChainTypeNAT, nftables.ChainHookPrerouting, -100, "nat hook prerouting"}
}
func DNATOutput() *Hook {
	return &Hook{nftables.ChainTypeNAT, nftables.ChainHookOutput, -100, "nat hook output"}
}
func SNATPostrouting() *Hook {
	return &Hook{nftables.ChainTypeNAT, nftables.ChainHookPostrouting, 100, "nat hook postrouting"}
}

// Filter hooks; priority 0 is where firewalls sit.
func FilterPrerouting(priority int) *Hook {
	return &Hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, priority, "filter hook prerouting"}
}
func FilterInput(priority int) *Hook {
	return &Hook{nftables.ChainTypeFilter, nftables.ChainHookInput, priority, "filter hook input"}
}
func FilterForward(priority int) *Hook {
	return &Hook{nftables.ChainTypeFilter, nftables.ChainHookForward, priority, "filter hook forward"}
}
func FilterOutput(priority int) *Hook {
	return &Hook{nftables.ChainTypeFilter, nftables.ChainHookOutput, priority, "filter hook output"}
}
func FilterPostrouting(priority int) *Hook {
	return &Hook{nftables.ChainTypeFilter, nftables.ChainHookPostrouting, priority, "filter hook postrouting"}
}
