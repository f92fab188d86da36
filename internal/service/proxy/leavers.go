package proxy

import (
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/dhow-project/dhow/internal/linux/conntrack"
)

// leavers are UDP endpoints that left and whose remembered connections have to go. That reads the
// kernel's whole connection table, so it is done aside, for all that left meanwhile.
type leavers struct {
	mu     sync.Mutex
	places map[netip.AddrPort]bool
	wake   chan struct{}
}

func newLeavers() *leavers {
	return &leavers{places: map[netip.AddrPort]bool{}, wake: make(chan struct{}, 1)}
}

// note takes from a plan what is removed and not added again elsewhere.
func (l *leavers) note(p plan) {
	gone := map[netip.AddrPort]bool{}
	for _, c := range slices.Concat(p.removeSets, slices.Concat(slices.Collect(maps.Values(p.remove))...)) {
		if c.udp {
			gone[c.place()] = true
		}
	}
	for _, c := range slices.Concat(p.addSets, slices.Concat(slices.Collect(maps.Values(p.add))...)) {
		if c.udp {
			delete(gone, c.place())
		}
	}
	if len(gone) == 0 {
		return
	}
	l.mu.Lock()
	for g := range gone {
		l.places[g] = true
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// place is the endpoint in a claim's value.
func (c claim) place() netip.AddrPort {
	a, _ := netip.AddrFromSlice([]byte(c.value[:len(c.value)-4]))
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16([]byte(c.value[len(c.value)-4:])))
}

func (l *leavers) run(ctx context.Context, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
			if err := l.forget(); err != nil {
				log.Warn("old udp connections not forgotten", "err", err)
			}
		}
	}
}

func (l *leavers) forget() error {
	l.mu.Lock()
	places := make(map[netip.AddrPort]bool, len(l.places))
	for p := range l.places {
		places[p] = true
	}
	clear(l.places)
	l.mu.Unlock()
	return conntrack.ForgetUDP(places)
}
