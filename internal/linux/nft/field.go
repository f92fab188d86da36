package nft

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Type of one part of a set's key or value.
type Type struct{ t nftables.SetDatatype }

func (t Type) String() string { return t.t.Name }

// The types sets are made of.
func IPv4Type() Type  { return Type{nftables.TypeIPAddr} }
func IPv6Type() Type  { return Type{nftables.TypeIP6Addr} }
func ProtoType() Type { return Type{nftables.TypeInetProto} }
func PortType() Type  { return Type{nftables.TypeInetService} }

// NumberType is a 32-bit number in host byte order.
func NumberType() Type { return Type{nftables.TypeMark} }

// Field is something a rule can read from a packet, or compute.
type Field struct {
	text string
	typ  Type
	load func(reg uint32) []expr.Any
}

func (f Field) words() uint32 { return (f.typ.t.Bytes + 3) / 4 }

func payload(text string, t Type, base expr.PayloadBase, offset uint32) Field {
	return Field{text, t, func(reg uint32) []expr.Any {
		return []expr.Any{&expr.Payload{DestRegister: reg, Base: base, Offset: offset, Len: t.t.Bytes}}
	}}
}

func meta(text string, t Type, key expr.MetaKey) Field {
	return Field{text, t, func(reg uint32) []expr.Any { return []expr.Any{&expr.Meta{Key: key, Register: reg}} }}
}

// Source and destination address. Only in rules that begin with V4 or V6.
func SAddr4() Field {
	return payload("ip saddr", IPv4Type(), expr.PayloadBaseNetworkHeader, 12)
}
func DAddr4() Field {
	return payload("ip daddr", IPv4Type(), expr.PayloadBaseNetworkHeader, 16)
}
func SAddr6() Field {
	return payload("ip6 saddr", IPv6Type(), expr.PayloadBaseNetworkHeader, 8)
}
func DAddr6() Field {
	return payload("ip6 daddr", IPv6Type(), expr.PayloadBaseNetworkHeader, 24)
}

// SPort and DPort work for TCP, UDP and SCTP.
func SPort() Field {
	return payload("th sport", PortType(), expr.PayloadBaseTransportHeader, 0)
}
func DPort() Field {
	return payload("th dport", PortType(), expr.PayloadBaseTransportHeader, 2)
}

func L4Proto() Field { return meta("meta l4proto", ProtoType(), expr.MetaKeyL4PROTO) }
func Mark() Field    { return meta("meta mark", NumberType(), expr.MetaKeyMARK) }
func IIfName() Field {
	return meta("iifname", Type{nftables.TypeIFName}, expr.MetaKeyIIFNAME)
}
func OIfName() Field {
	return meta("oifname", Type{nftables.TypeIFName}, expr.MetaKeyOIFNAME)
}

// ICMPType is the type byte of ICMP.
func ICMPType() Field {
	return payload("icmp type", Type{nftables.TypeICMPType}, expr.PayloadBaseTransportHeader, 0)
}

// CtStatus is the connection's status bits, CtMark its mark.
func CtStatus() Field { return ct("ct status", expr.CtKeySTATUS) }
func CtMark() Field   { return ct("ct mark", expr.CtKeyMARK) }
func CtState() Field  { return ct("ct state", expr.CtKeySTATE) }

func ct(text string, key expr.CtKey) Field {
	return Field{text, NumberType(), func(reg uint32) []expr.Any { return []expr.Any{&expr.Ct{Key: key, Register: reg}} }}
}

// DAddrType is the routing type of the destination; compare with Local.
func DAddrType() Field {
	return Field{"fib daddr type", NumberType(), func(reg uint32) []expr.Any {
		return []expr.Any{&expr.Fib{Register: reg, ResultADDRTYPE: true, FlagDADDR: true}}
	}}
}

// SAddrType is the routing type of the source.
func SAddrType() Field {
	return Field{"fib saddr type", NumberType(), func(reg uint32) []expr.Any {
		return []expr.Any{&expr.Fib{Register: reg, ResultADDRTYPE: true, FlagSADDR: true}}
	}}
}

// Random is a fresh number in 0..n-1.
func Random(n int) Field {
	return Field{fmt.Sprintf("numgen random mod %d", n), NumberType(), func(reg uint32) []expr.Any {
		return []expr.Any{&expr.Numgen{Register: reg, Modulus: uint32(n), Type: unix.NFT_NG_RANDOM}}
	}}
}

// firstReg is the first of the kernel's sixteen 32-bit registers.
const firstReg = unix.NFT_REG32_00

func loadAll(reg uint32, fields []Field) []expr.Any {
	var out []expr.Any
	for _, f := range fields {
		out = append(out, f.load(reg)...)
		reg += f.words()
	}
	return out
}

func concatText(fields []Field) string {
	s := ""
	for i, f := range fields {
		if i > 0 {
			s += " . "
		}
		s += f.text
	}
	return s
}
