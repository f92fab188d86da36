package network

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/dhow-project/dhow/internal/linux/netns"
)

// Dial connects to a TCP port on the sandbox's own loopback: 127.0.0.1, then ::1.
func (m *Manager) Dial(ctx context.Context, id string, port uint16) (net.Conn, error) {
	a, err := m.Attachment(id)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	err = netns.Do(a.NetNS, func() error {
		var d net.Dialer
		var first error
		for _, ip := range []string{"127.0.0.1", "::1"} {
			c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(int(port))))
			if err == nil {
				conn = c
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return first
	})
	if err != nil {
		return nil, fmt.Errorf("dial port %d of sandbox %s: %w", port, id, err)
	}
	return conn, nil
}

// Stats counts what the sandbox received and sent since it was attached.
type Stats struct {
	Iface                                   string
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// Stats of an attachment. They are read at the host's end, so received and sent are exchanged.
func (m *Manager) Stats(id string) (Stats, error) {
	m.mu.Lock()
	r := m.attached[id]
	m.mu.Unlock()
	if r == nil {
		_, err := m.Attachment(id)
		return Stats{}, err
	}
	link, err := m.host.LinkByName(r.Sandbox)
	if err != nil {
		return Stats{}, fmt.Errorf("read statistics of sandbox %s: %w", id, err)
	}
	s := link.Attrs().Statistics
	if s == nil {
		return Stats{Iface: iface}, nil
	}
	return Stats{Iface: iface,
		RxBytes: s.TxBytes, RxPackets: s.TxPackets, RxErrors: s.TxErrors, RxDropped: s.TxDropped,
		TxBytes: s.RxBytes, TxPackets: s.RxPackets, TxErrors: s.RxErrors, TxDropped: s.RxDropped}, nil
}
