package network

import (
	"fmt"
	"net/netip"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// ipam hands out addresses, the one longest unused first. It is pure: what is taken
// is learnt from the records at start.
type ipam struct {
	pools []addressPool
}

type addressPool struct {
	prefix netip.Prefix
	last   netip.Addr
	taken  map[netip.Addr]bool
}

func newIPAM(prefixes []netip.Prefix) *ipam {
	m := &ipam{}
	for _, p := range prefixes {
		m.pools = append(m.pools, addressPool{prefix: p, last: gateway(p), taken: map[netip.Addr]bool{}})
	}
	return m
}

// gateway is the first address after the network's own.
func gateway(p netip.Prefix) netip.Addr { return p.Addr().Next() }

func gateways(prefixes []netip.Prefix) []netip.Addr {
	out := make([]netip.Addr, len(prefixes))
	for i, p := range prefixes {
		out[i] = gateway(p)
	}
	return out
}

// take gives one address of each family.
func (m *ipam) take() ([]netip.Addr, error) {
	var out []netip.Addr
	for i := range m.pools {
		a, err := m.pools[i].take()
		if err != nil {
			m.free(out)
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (p *addressPool) take() (netip.Addr, error) {
	a := p.last
	for range len(p.taken) + 3 { // gateway and both ends of the range are skipped
		a = a.Next()
		if !p.prefix.Contains(a) || p.isBroadcast(a) {
			a = gateway(p.prefix).Next()
		}
		if !p.taken[a] && p.prefix.Contains(a) && !p.isBroadcast(a) {
			p.taken[a], p.last = true, a
			return a, nil
		}
	}
	return netip.Addr{}, fault.New(fault.Exhausted, "take address: all %d addresses of %s are in use", len(p.taken), p.prefix)
}

func (p *addressPool) isBroadcast(a netip.Addr) bool {
	return a.Is4() && !p.prefix.Contains(a.Next())
}

// claim marks addresses a record already has. It fails when they are not ours or taken.
func (m *ipam) claim(addrs []netip.Addr) error {
	if len(addrs) != len(m.pools) {
		return fmt.Errorf("claim %v: want one address per pod CIDR", addrs)
	}
	for i, a := range addrs {
		p := &m.pools[i]
		if !p.prefix.Contains(a) || p.taken[a] || a == gateway(p.prefix) {
			m.free(addrs[:i])
			return fmt.Errorf("claim %s: not free in %s", a, p.prefix)
		}
		p.taken[a] = true
	}
	return nil
}

func (m *ipam) free(addrs []netip.Addr) {
	for i, a := range addrs {
		delete(m.pools[i].taken, a)
	}
}
