package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/dhow-project/dhow/internal/linux/netns"
)

// record is one sandbox on disk, a file in the directory that says what it is:
//
//	pool/<sandbox> ──attach──▶ attached/<id> ──detach──▶ dead/<sandbox> ──housekeeper──▶ gone
//
// A rename makes it whole; there is no fsync, because what it speaks of lives in the
// kernel and does not survive a power cut either.
type record struct {
	ID      string        `json:"id,omitempty"`
	Sandbox string        `json:"sandbox"`
	IPs     []netip.Addr  `json:"ips"`
	Ports   []PortMapping `json:"ports,omitempty"`
}

func (m *Manager) recordPath(id string) string    { return filepath.Join(m.dir("attached"), id) }
func (m *Manager) poolPath(sandbox string) string { return filepath.Join(m.dir("pool"), sandbox) }
func (m *Manager) deadPath(sandbox string) string { return filepath.Join(m.dir("dead"), sandbox) }

func (m *Manager) save(path string, r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode network record: %w", err)
	}
	unfinished := filepath.Join(m.cfg.Dir, ".new-"+r.Sandbox)
	if err := os.WriteFile(unfinished, data, 0o600); err != nil {
		return fmt.Errorf("write network record: %w", err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("write network record: %w", err)
	}
	return nil
}

func (m *Manager) forget(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove network record: %w", err)
	}
	return nil
}

// bury keeps the address of a detached sandbox taken until it is taken apart.
func (m *Manager) bury(r *record) error {
	if err := os.Rename(m.recordPath(r.ID), m.deadPath(r.Sandbox)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("bury network record: %w", err)
	}
	return nil
}

// adopt takes over the sandboxes whose record, namespace and link are all there, and
// condemns everything else of ours.
func (m *Manager) adopt() error {
	links, err := m.ourLinks()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, d := range []struct {
		name string
		take func(*record) error
	}{{"attached", m.adoptAttached}, {"dead", m.adoptDead}, {"pool", m.adoptPool}} {
		if err := m.adoptDir(d.name, links, known, d.take); err != nil {
			return err
		}
	}
	files, err := os.ReadDir(m.netnsDir())
	if err != nil {
		return fmt.Errorf("read namespaces: %w", err)
	}
	for _, f := range files {
		links[f.Name()] = true
	}
	for name := range links {
		if !known[name] {
			m.dead = append(m.dead, &sandbox{name: name})
		}
	}
	return nil
}

func (m *Manager) adoptAttached(r *record) error {
	if err := m.ports.add(r.ID, r.Ports); err != nil {
		return err
	}
	m.attached[r.ID] = r
	return nil
}

func (m *Manager) adoptDead(r *record) error {
	m.dead = append(m.dead, &sandbox{r.Sandbox, r.IPs})
	return nil
}

func (m *Manager) adoptPool(r *record) error {
	m.pool = append(m.pool, &sandbox{r.Sandbox, r.IPs})
	return nil
}

func (m *Manager) adoptDir(name string, links, known map[string]bool, take func(*record) error) error {
	files, err := os.ReadDir(m.dir(name))
	if err != nil {
		return fmt.Errorf("read network records: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(m.dir(name), f.Name())
		r, err := m.adoptRecord(path, links, known)
		if err == nil {
			if err = take(r); err != nil {
				m.ipam.free(r.IPs)
			}
		}
		if err != nil {
			m.log.Info("stale network record dropped", "file", path, "reason", err)
			if err := m.forget(path); err != nil {
				return err
			}
			continue
		}
		known[r.Sandbox] = true
	}
	return nil
}

func (m *Manager) adoptRecord(path string, links, known map[string]bool) (*record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, err
	}
	if known[r.Sandbox] {
		return nil, errors.New("its namespace is somebody else's")
	}
	if !links[r.Sandbox] || !netns.Pinned(m.netnsPath(r.Sandbox)) {
		return nil, errors.New("its namespace is gone")
	}
	if err := m.ipam.claim(r.IPs); err != nil {
		return nil, err
	}
	return r, nil
}

// ourLinks are the host ends of sandboxes.
func (m *Manager) ourLinks() (map[string]bool, error) {
	all, err := m.host.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list links: %w", err)
	}
	out := map[string]bool{}
	for _, l := range all {
		if m.names.owns(l.Attrs().Name) {
			out[l.Attrs().Name] = true
		}
	}
	return out, nil
}
