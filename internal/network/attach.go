package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Attach gives id a network. An id that has one gets the same again, whatever the options.
// Errors: Invalid for an id or port that cannot be, Exists for a host port somebody has, Exhausted.
func (m *Manager) Attach(ctx context.Context, id string, o AttachOptions) (Attachment, error) {
	if len(id) > 200 || !plain(id) {
		return Attachment{}, fault.New(fault.Invalid, "attach %q: an id has up to 200 letters, digits, - _ .", id)
	}
	a, err := m.attach(ctx, id, o)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach %s: %w", id, err)
	}
	return a, nil
}

func (m *Manager) attach(ctx context.Context, id string, o AttachOptions) (Attachment, error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return Attachment{}, fault.New(fault.Unavailable, "the network is closed")
	}
	if r := m.attached[id]; r != nil {
		defer m.mu.Unlock()
		return m.describe(r), nil
	}
	if m.busy[id] {
		m.mu.Unlock()
		return Attachment{}, fault.New(fault.Conflict, "it is being attached already")
	}
	ports, err := m.ports.choose(id, o.Ports)
	if err != nil {
		m.mu.Unlock()
		return Attachment{}, err
	}
	m.busy[id] = true
	m.mu.Unlock()
	r := &record{ID: id, Ports: ports}

	s, err := m.takeSandbox(o.NetNS)
	if err == nil {
		r.Sandbox, r.IPs = s.name, s.ips
		err = m.commit(r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.busy, id)
	if err != nil {
		m.ports.remove(id)
		if s != nil {
			m.dead = append(m.dead, s)
			m.nudge()
		}
		return Attachment{}, err
	}
	m.attached[id] = r
	return m.describe(r), nil
}

// commit writes the record before the rules: after a crash in between, the rules are made from the records.
func (m *Manager) commit(r *record) error {
	if err := m.save(m.recordPath(r.ID), r); err != nil {
		return err
	}
	if err := m.publish(r); err != nil {
		return errors.Join(err, m.bury(r))
	}
	return m.forget(m.poolPath(r.Sandbox))
}

// takeSandbox takes one from the pool or builds it now; of a namespace that is given, it can only be built.
func (m *Manager) takeSandbox(from string) (*sandbox, error) {
	defer m.nudge()
	m.mu.Lock()
	if n := len(m.pool); n > 0 && from == "" {
		s := m.pool[0]
		m.pool = slices.Delete(m.pool, 0, 1)
		m.mu.Unlock()
		return s, nil
	}
	ips, err := m.ipam.take()
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s, err := m.build(ips, from)
	if err != nil {
		m.mu.Lock()
		m.ipam.free(ips)
		m.mu.Unlock()
	}
	return s, err
}

func (m *Manager) describe(r *record) Attachment {
	return Attachment{ID: r.ID, NetNS: m.netnsPath(r.Sandbox), IPs: slices.Clone(r.IPs), Gateway: gateways(m.cfg.PodCIDRs),
		Iface: iface, MAC: mac(r.IPs[0]).String(), Ports: slices.Clone(r.Ports)}
}

// Attachment of an id; NotFound.
func (m *Manager) Attachment(id string) (Attachment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.attached[id]
	if r == nil {
		return Attachment{}, fault.New(fault.NotFound, "sandbox %s has no network", id)
	}
	return m.describe(r), nil
}

// Detach takes id's network away; its ports are closed on return, its address is free
// a moment later. An unknown id is no error.
func (m *Manager) Detach(ctx context.Context, id string) error {
	m.mu.Lock()
	r := m.attached[id]
	if r == nil || m.busy[id] {
		m.mu.Unlock()
		return nil
	}
	m.busy[id] = true
	delete(m.attached, id)
	m.mu.Unlock()
	err := errors.Join(m.unpublish(r), m.bury(r))
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.busy, id)
	m.ports.remove(id)
	m.dead = append(m.dead, &sandbox{name: r.Sandbox, ips: r.IPs})
	m.nudge()
	if err != nil {
		return fmt.Errorf("detach %s: %w", id, err)
	}
	return nil
}

// Reconcile detaches every id that is not in live.
func (m *Manager) Reconcile(ctx context.Context, live []string) error {
	keep := make(map[string]bool, len(live))
	for _, id := range live {
		keep[id] = true
	}
	m.mu.Lock()
	var stale []string
	for id := range m.attached {
		if !keep[id] {
			stale = append(stale, id)
		}
	}
	m.mu.Unlock()
	var errs []error
	for _, id := range stale {
		errs = append(errs, m.Detach(ctx, id))
	}
	return errors.Join(errs...)
}

// IPs of all attachments, for those who need to know which addresses are ours.
func (m *Manager) IPs() map[string][]netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string][]netip.Addr, len(m.attached))
	for id, r := range m.attached {
		out[id] = slices.Clone(r.IPs)
	}
	return out
}
