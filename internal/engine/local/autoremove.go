package local

import (
	"context"

	"github.com/dhow-project/dhow/internal/engine"
)

// swept is called when a container has ended: the sandbox may want to go with its last one.
func (e *Engine) swept(sandboxID string) {
	s, err := e.sandbox(sandboxID)
	if err != nil || !s.record.Config.AutoRemove || !e.settled.Load() || !e.allEnded(sandboxID) {
		return
	}
	e.group.Go("remove sandbox", func(ctx context.Context) error { e.autoRemove(ctx, sandboxID); return nil })
}

// allEnded: what was made and never started counts as not ended, since somebody may be about to.
func (e *Engine) allEnded(sandboxID string) bool {
	for _, c := range e.containersOf(sandboxID) {
		if c.state() != engine.ContainerExited {
			return false
		}
	}
	return true
}

// autoRemove tries once: what a failure leaves, the next start removes.
func (e *Engine) autoRemove(ctx context.Context, id string) {
	if err := e.RemoveSandbox(ctx, id); err != nil && ctx.Err() == nil {
		e.log.Error("remove a sandbox whose containers have ended", "sandbox", id, "error", err)
	}
}

// sweep removes what wanted to go while nobody was there to do it: those who were about to start something have gone with
// the engine's former process.
func (e *Engine) sweep() {
	e.settled.Store(true)
	for _, s := range e.allSandboxes() {
		if id := s.record.ID; s.record.Config.AutoRemove && !e.anyRuns(id) {
			e.group.Go("remove sandbox", func(ctx context.Context) error { e.autoRemove(ctx, id); return nil })
		}
	}
}

func (e *Engine) anyRuns(sandboxID string) bool {
	for _, c := range e.containersOf(sandboxID) {
		if c.state() == engine.ContainerRunning {
			return true
		}
	}
	return false
}
