package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/linux/ns"
	"github.com/dhow-project/dhow/internal/oci/keeper"
)

// reconcile makes the engine's view true again: records, the keeper's memory, what
// is pinned. The order matters: events are asked for before states, so that nothing falls between.
func (e *Engine) reconcile(ctx context.Context) error {
	events, err := e.keeper.Events(e.group.Context())
	if err != nil {
		return err
	}
	states, err := e.keeper.List(ctx)
	if err != nil {
		return err
	}
	if err := e.loadSandboxes(ctx); err != nil {
		return err
	}
	if err := e.adoptInits(ctx, states); err != nil {
		return err
	}
	if err := e.loadContainers(ctx, states); err != nil {
		return err
	}
	if err := e.network.Reconcile(ctx, e.attachedSandboxes()); err != nil {
		return err
	}
	e.group.Go("follow the keeper", func(ctx context.Context) error { return e.follow(ctx, events) })
	e.sweep()
	return nil
}

func (e *Engine) loadSandboxes(ctx context.Context) error {
	records, torn, err := loadAll[sandboxRecord](e.sandboxRoot())
	if err != nil {
		return err
	}
	for _, dir := range torn {
		e.log.Warn("remove torn sandbox", "dir", dir)
		if err := errors.Join(ns.Remove(filepath.Join(dir, "ns")), mount.Unmount(filepath.Join(dir, "shm"))); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	for id, r := range records {
		s := &sandbox{record: r}
		if !r.Stopped && !e.holds(r) { // the host was restarted
			e.loseSandbox(s)
		}
		e.sandboxes[id], e.names[keyOf(r.Config)] = s, id
	}
	return nil
}

// loseSandbox notes that a sandbox is worth nothing any more. What is left of it goes with its removal.
func (e *Engine) loseSandbox(s *sandbox) {
	r := &s.record
	e.log.Info("sandbox lost its namespaces", "sandbox", r.ID, "name", r.Config.Name)
	r.Stopped = true
	if err := saveRecord(e.sandboxDir(r.ID), r); err != nil {
		e.log.Error("save sandbox record", "sandbox", r.ID, "error", err)
	}
}

// holds reports whether a sandbox's namespaces are still pinned.
func (e *Engine) holds(r sandboxRecord) bool {
	if r.Config.Network != engine.Host && !pinned(r.NetNS) {
		return false
	}
	if r.Config.User != nil && !pinned(ns.Path(e.nsDir(r.ID), ns.User)) {
		return false
	}
	return r.Config.IPC == engine.Host || pinned(ns.Path(e.nsDir(r.ID), ns.IPC))
}

func (e *Engine) loadContainers(ctx context.Context, states []keeper.State) error {
	records, torn, err := loadAll[containerRecord](e.containerRoot())
	if err != nil {
		return err
	}
	kept := map[string]keeper.State{}
	for _, s := range states {
		if !strings.HasSuffix(s.ID, initSuffix) {
			kept[s.ID] = s
		}
	}
	for id, r := range records {
		c := &container{record: r, exited: make(chan struct{})}
		if r.Last.State == engine.ContainerExited {
			close(c.exited)
		}
		e.containers[id] = c
		if r.ImageID == "" { // a build's: nobody waits for it any more
			e.log.Info("remove what a build left", "container", id)
		} else if err := e.images.Acquire(r.ImageID, id); err != nil {
			e.log.Warn("image of a container is gone", "container", id, "image", r.ImageID, "error", err)
		}
		if s, ok := kept[id]; ok {
			e.learn(c, s)
		} else {
			e.lost(c)
		}
		delete(kept, id)
	}
	for id := range kept { // made, but its record was never finished
		e.log.Warn("remove unknown container", "container", id)
		if err := e.keeper.Delete(ctx, id); err != nil {
			return err
		}
	}
	for _, dir := range torn {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove torn container: %w", err)
		}
	}
	return nil
}

func (e *Engine) attachedSandboxes() []string {
	var live []string
	for id, s := range e.sandboxes {
		if !s.record.Stopped && s.record.Config.Network != engine.Host && !s.record.Config.Offline {
			live = append(live, id)
		}
	}
	return live
}

// follow takes over what the keeper says, as it says it.
func (e *Engine) follow(ctx context.Context, events <-chan keeper.Event) error {
	for event := range events {
		if id, ok := strings.CutSuffix(event.State.ID, initSuffix); ok {
			if event.State.Status == keeper.Exited {
				e.group.Go("stop sandbox", func(ctx context.Context) error { e.initEnded(ctx, id); return nil })
			}
			continue
		}
		if c, err := e.container(event.State.ID); err == nil {
			e.learn(c, event.State)
		}
	}
	if ctx.Err() == nil && !e.leaving.Load() {
		e.log.Error("the keeper is gone: containers on this node are lost", "dir", e.cfg.Dir)
	}
	return nil
}
