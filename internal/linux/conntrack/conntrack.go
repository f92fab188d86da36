// Package conntrack makes the kernel forget connections that were redirected to
// places which no longer exist.
//
// TCP finds out by itself; a UDP client that keeps sending would be sent to the old
// place for ever, for every packet renews the entry. It knows nothing of who redirected.
package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ForgetUDP deletes the UDP entries whose packets are redirected to one of the places. It reads the
// whole connection table once, so give it many places at a time.
func ForgetUDP(places map[netip.AddrPort]bool) error {
	for family, wanted := range map[netlink.InetFamily]bool{unix.AF_INET: has(places, true), unix.AF_INET6: has(places, false)} {
		if !wanted {
			continue
		}
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, filter(places))
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("forget connections: %w", err)
		}
	}
	return nil
}

func has(places map[netip.AddrPort]bool, v4 bool) bool {
	for p := range places {
		if p.Addr().Is4() == v4 {
			return true
		}
	}
	return false
}

type filter map[netip.AddrPort]bool

// MatchConntrackFlow says which entries go: those whose answers come from another address than was asked.
func (f filter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	from, ok := netip.AddrFromSlice(flow.Reverse.SrcIP)
	if !ok || flow.Forward.DstIP.Equal(flow.Reverse.SrcIP) && flow.Forward.DstPort == flow.Reverse.SrcPort {
		return false
	}
	return f[netip.AddrPortFrom(from.Unmap(), flow.Reverse.SrcPort)]
}
