package nft

import (
	"encoding/binary"
	"net/netip"
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
