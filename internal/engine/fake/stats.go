package fake

import (
	"context"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// ContainerStats shows a constant, small use.
func (e *Engine) ContainerStats(_ context.Context, id string) (engine.ContainerStats, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	if c == nil {
		return engine.ContainerStats{}, fault.New(fault.NotFound, "container %s: not found", id)
	}
	return e.stats(c), nil
}

func (e *Engine) stats(c *container) engine.ContainerStats {
	s := engine.ContainerStats{ID: c.ID, Time: e.now()}
	if c.State == engine.ContainerRunning {
		s.CPUUsage = s.Time.Sub(c.Started) / 1000
		s.MemoryUsage, s.WorkingSet, s.RSS, s.Pids = 1<<20, 1<<20, 1<<19, 1
	}
	return s
}

// SandboxStats sums its containers.
func (e *Engine) SandboxStats(_ context.Context, id string) (engine.SandboxStats, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sandboxes[id] == nil {
		return engine.SandboxStats{}, fault.New(fault.NotFound, "sandbox %s: not found", id)
	}
	out := engine.SandboxStats{ID: id, Time: e.now(), Interfaces: []engine.InterfaceStats{{Name: "eth0"}}}
	for _, c := range e.containers {
		if c.SandboxID != id {
			continue
		}
		s := e.stats(c)
		out.Containers = append(out.Containers, s)
		out.CPUUsage += s.CPUUsage
		out.MemoryUsage += s.MemoryUsage
		out.WorkingSet += s.WorkingSet
		out.RSS += s.RSS
		out.Pids += s.Pids
	}
	return out, nil
}
