package fake

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sort"
	"strconv"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// CreateSandbox implements engine.Engine. Addresses come from 10.88.0.0/16.
func (e *Engine) CreateSandbox(_ context.Context, c engine.SandboxConfig) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sandboxes {
		if o := s.Config; o.Name == c.Name && o.Group == c.Group && o.UID == c.UID && o.Attempt == c.Attempt {
			return "", fault.New(fault.Exists, "sandbox %s/%s attempt %d: exists as %s", c.Group, c.Name, c.Attempt, s.ID)
		}
	}
	s := &engine.Sandbox{ID: e.id("5b"), Config: c, State: engine.SandboxReady, Created: e.now()}
	if c.Network != engine.Host {
		e.nextIP++
		s.IPs = []string{fmt.Sprintf("10.88.%d.%d", e.nextIP>>8&255, e.nextIP&255)}
	}
	e.sandboxes[s.ID] = s
	e.emit(engine.SandboxCreated, s.ID, "")
	return s.ID, nil
}

// StopSandbox implements engine.Engine.
func (e *Engine) StopSandbox(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopSandbox(id)
	return nil
}

func (e *Engine) stopSandbox(id string) {
	s := e.sandboxes[id]
	if s == nil || s.State == engine.SandboxNotReady {
		return
	}
	for _, c := range e.containers {
		if c.SandboxID == id {
			e.exit(c, 137, 9, "Error", "")
		}
	}
	s.State, s.IPs = engine.SandboxNotReady, nil
	e.emit(engine.SandboxStopped, id, "")
}

// RemoveSandbox implements engine.Engine.
func (e *Engine) RemoveSandbox(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sandboxes[id] == nil {
		return nil
	}
	e.stopSandbox(id)
	for _, c := range e.containers {
		if c.SandboxID == id {
			e.remove(c)
		}
	}
	delete(e.sandboxes, id)
	e.emit(engine.SandboxRemoved, id, "")
	return nil
}

// Sandbox implements engine.Engine.
func (e *Engine) Sandbox(_ context.Context, id string) (engine.Sandbox, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sandboxes[id]
	if s == nil {
		return engine.Sandbox{}, fault.New(fault.NotFound, "sandbox %s: not found", id)
	}
	return copySandbox(s), nil
}

func copySandbox(s *engine.Sandbox) engine.Sandbox {
	c := *s
	c.IPs = slices.Clone(s.IPs)
	return c
}

func matches(f engine.Filter, labels map[string]string) bool {
	for k, v := range f.Labels {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// ListSandboxes implements engine.Engine.
func (e *Engine) ListSandboxes(_ context.Context, f engine.Filter) ([]engine.Sandbox, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []engine.Sandbox{}
	for _, s := range e.sandboxes {
		if (f.ID == "" || f.ID == s.ID) && matches(f, s.Config.Labels) {
			out = append(out, copySandbox(s))
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// Dial connects to the port on this machine's loopback: that is where a fake container's server would be.
func (e *Engine) Dial(ctx context.Context, id string, port uint16) (io.ReadWriteCloser, error) {
	if _, err := e.Sandbox(ctx, id); err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "sandbox %s: dial port %d: %w", id, port, err)
	}
	return c, nil
}

// LoseSandbox makes a sandbox lose its namespaces, as a reboot does.
func (e *Engine) LoseSandbox(id string) {
	_ = e.StopSandbox(context.Background(), id)
}
