package network

import (
	"context"
	"errors"
	"net/netip"
)

// housekeep does what nobody should wait for: it takes dead sandboxes apart and keeps the pool full.
func (m *Manager) housekeep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
		for ctx.Err() == nil && m.oneChore() {
		}
	}
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// oneChore does one thing and tells whether there may be another. The pool comes
// first: somebody may be about to need it.
func (m *Manager) oneChore() bool {
	m.mu.Lock()
	if len(m.pool) < m.cfg.Pool {
		ips, err := m.ipam.take()
		m.mu.Unlock()
		if err == nil {
			return m.refill(ips)
		}
		m.mu.Lock()
	}
	if len(m.dead) == 0 {
		m.mu.Unlock()
		return false
	}
	s := m.dead[0]
	m.dead = m.dead[1:]
	m.mu.Unlock()
	if err := errors.Join(m.takeApart(s), m.forget(m.deadPath(s.name))); err != nil {
		m.log.Warn("sandbox network not removed", "link", s.name, "err", err)
		return true // its addresses stay taken until the next start
	}
	m.mu.Lock()
	m.ipam.free(s.ips)
	m.mu.Unlock()
	return true
}

// refill stops on an error; the next Attach or Detach tries again.
func (m *Manager) refill(ips []netip.Addr) bool {
	s, err := m.build(ips)
	if err == nil {
		err = m.save(m.poolPath(s.name), &record{Sandbox: s.name, IPs: s.ips})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		if s != nil {
			m.dead = append(m.dead, s)
		} else {
			m.ipam.free(ips)
		}
		m.log.Warn("sandbox network not prepared", "err", err)
		return false
	}
	m.pool = append(m.pool, s)
	return true
}
