package admission

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// PortRange is a range of ports, both ends included.
type PortRange struct{ First, Last int32 }

func (r PortRange) orDefault() PortRange {
	if r == (PortRange{}) {
		return PortRange{30000, 32767}
	}
	return r
}

func (r PortRange) pool() *pool {
	size := uint64(r.Last - r.First + 1)
	return newPool(size, reserved(size, 16, 32, 128))
}

// reserved is the part for those who ask by name (KEP-3070, KEP-3668): size/step, but at least least, at most most;
// ranges too small to be split have none.
func reserved(size, least, step, most uint64) uint64 {
	if size <= least {
		return 0
	}
	return min(max(least, size/step), most)
}

// ipRange is a network that cluster IPs come from.
type ipRange struct {
	family corev1.IPFamily
	prefix netip.Prefix
	first  netip.Addr // one after the network's own address
	pool   *pool
}

// maxRange bounds how far into a network addresses are handed out.
const maxRange = 1 << 20

func newIPRange(p netip.Prefix) *ipRange {
	p = p.Masked()
	r := &ipRange{family: corev1.IPv4Protocol, prefix: p, first: p.Addr().Next()}
	bits := 32 - p.Bits()
	if p.Addr().Is6() {
		r.family, bits = corev1.IPv6Protocol, 128-p.Bits()
	}
	size := uint64(maxRange)
	if bits <= 20 {
		size = 1<<bits - 1
	}
	if r.family == corev1.IPv4Protocol && bits <= 20 && size > 1 {
		size-- // broadcast
	}
	r.pool = newPool(size, reserved(size, 16, 16, 256))
	return r
}

// index is an address's number in the pool.
func (r *ipRange) index(a netip.Addr) (uint64, bool) {
	if !r.prefix.Contains(a) {
		return 0, false
	}
	n := low(a) - low(r.first)
	return n, n < r.pool.size
}

func (r *ipRange) addr(n uint64) netip.Addr {
	b := r.first.As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+n)
	a := netip.AddrFrom16(b)
	if r.family == corev1.IPv4Protocol {
		return a.Unmap()
	}
	return a
}

func low(a netip.Addr) uint64 {
	b := a.As16()
	return binary.BigEndian.Uint64(b[8:])
}

func (r *ipRange) String() string { return fmt.Sprintf("%s %s", r.family, r.prefix) }
