package local

import (
	"context"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/linux/cgroup"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// ContainerStats is engine.Containers'.
func (e *Engine) ContainerStats(_ context.Context, id string) (engine.ContainerStats, error) {
	c, err := e.container(id)
	if err != nil {
		return engine.ContainerStats{}, err
	}
	s, err := e.sandbox(c.record.SandboxID)
	if err != nil {
		return engine.ContainerStats{}, err
	}
	u, err := cgroup.Stats(e.containerCgroup(s.view().Config, id))
	if err != nil {
		return engine.ContainerStats{}, err
	}
	return engine.ContainerStats{
		ID: id, Time: u.Time, CPUUsage: u.CPU, MemoryUsage: u.MemoryUsage, WorkingSet: u.WorkingSet, RSS: u.RSS,
		PageFaults: u.PageFaults, MajorPageFaults: u.MajorPageFaults, Pids: u.Pids, OOMKills: u.OOMKills,
		WritableLayer: e.writableLayer(c),
	}, nil
}

// SandboxStats is engine.Sandboxes'. Its totals are its containers'.
func (e *Engine) SandboxStats(ctx context.Context, id string) (engine.SandboxStats, error) {
	s, err := e.sandbox(id)
	if err != nil {
		return engine.SandboxStats{}, err
	}
	out := engine.SandboxStats{ID: id, Time: time.Now()}
	for _, c := range e.containersOf(id) {
		cs, err := e.ContainerStats(ctx, c.record.ID)
		if fault.Is(err, fault.NotFound) { // it has ended
			continue
		}
		if err != nil {
			return out, err
		}
		out.Containers = append(out.Containers, cs)
		out.CPUUsage += cs.CPUUsage
		out.MemoryUsage += cs.MemoryUsage
		out.WorkingSet += cs.WorkingSet
		out.RSS += cs.RSS
		out.Pids += cs.Pids
	}
	if s.view().Config.Network == engine.Host || s.view().State != engine.SandboxReady {
		return out, nil
	}
	n, err := e.network.Stats(id)
	if err != nil {
		return out, err
	}
	out.Interfaces = []engine.InterfaceStats{{
		Name: "eth0", RxBytes: n.RxBytes, RxErrors: n.RxErrors, TxBytes: n.TxBytes, TxErrors: n.TxErrors,
	}}
	return out, nil
}
