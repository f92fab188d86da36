package network

import (
	"context"
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
	dead := m.dead
	m.dead = nil
	m.mu.Unlock()
	m.bringOut(dead)
	return true
}

// bringOut frees the addresses only when nobody can speak from them any more.
func (m *Manager) bringOut(dead []*sandbox) {
	err := m.takeApart(dead...)
	for _, s := range dead {
		if err == nil {
			err = m.forget(m.deadPath(s.name))
		}
	}
	if err != nil {
		m.log.Warn("sandbox networks not removed, their addresses stay taken until the next start", "count", len(dead), "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range dead {
		m.ipam.free(s.ips)
	}
}

// refill stops on an error; the next Attach or Detach tries again.
func (m *Manager) refill(ips []netip.Addr) bool {
	s, err := m.build(ips, "")
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
