package nft

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Every part of a concatenated key or value begins at a multiple of four bytes.

// AppendAddr appends an address, 4 or 16 bytes.
func AppendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		v := a.As4()
		return append(b, v[:]...)
	}
	v := a.As16()
	return append(b, v[:]...)
}

// AppendProto appends a transport protocol number.
func AppendProto(b []byte, p byte) []byte { return append(b, p, 0, 0, 0) }

// AppendPort appends a port.
func AppendPort(b []byte, p uint16) []byte { return append(b, byte(p>>8), byte(p), 0, 0) }

// AppendNumber appends a number in host byte order.
func AppendNumber(b []byte, n uint32) []byte { return binary.NativeEndian.AppendUint32(b, n) }

// Text is the element as nft(8) would write it, for a set of s's types.
func (s Set) Text(e Element) string {
	out := s.Name + " { " + formatParts(s.Key, e.Key)
	if e.End != nil {
		out += " - " + formatParts(s.Key, e.End)
	}
	switch {
	case e.Goto != "":
		out += " : goto " + e.Goto
	case e.Drop:
		out += " : drop"
	case s.Value != nil:
		out += " : " + formatParts(s.Value, e.Value)
	}
	return out + " }"
}

func formatParts(ts []Type, b []byte) string {
	out := ""
	for i, t := range ts {
		if i > 0 {
			out += " . "
		}
		n := (int(t.t.Bytes) + 3) / 4 * 4
		if len(b) < n {
			return out + "?"
		}
		out += formatPart(t, b[:n])
		b = b[n:]
	}
	return out
}

func formatPart(t Type, b []byte) string {
	switch {
	case t == IPv4Type() || t == IPv6Type():
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case t == PortType():
		return strconv.Itoa(int(binary.BigEndian.Uint16(b)))
	case t == ProtoType():
		return protoName(b[0])
	}
	return strconv.FormatUint(uint64(binary.NativeEndian.Uint32(b)), 10)
}

func protoName(p byte) string {
	switch p {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return strconv.Itoa(int(p))
}
