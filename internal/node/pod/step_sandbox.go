package pod

import (
	"context"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

func (w *Worker) createSandbox(ctx context.Context, _ Step) error {
	api, attempt := w.st.API, uint32(0)
	if s := w.st.Sandbox(); s != nil {
		attempt = s.Config.Attempt + 1
	}
	w.beside(func(st *state.Pod) { st.Mem.Making = state.Running }, func() func(*state.Pod) {
		s, err := w.makeSandbox(ctx, attempt)
		return func(st *state.Pod) {
			st.Mem.Making = state.Idle
			if err != nil {
				st.Mem.SandboxTry = time.Now()
				st.Mem.Sandbox.Next(st.Mem.SandboxTry, st.Mem.SandboxTry)
				st.Mem.Sandbox.Delay = min(st.Mem.Sandbox.Delay, 30*time.Second)
				w.deps.Events.Event(api, "", "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: "+err.Error())
				return
			}
			st.PutSandbox(s)
		}
	})
	return nil
}

func (w *Worker) makeSandbox(ctx context.Context, attempt uint32) (engine.Sandbox, error) {
	cfg, err := w.deps.Build.Sandbox(ctx, w.st.API, attempt)
	if err != nil {
		return engine.Sandbox{}, err
	}
	id, err := w.deps.Engine.CreateSandbox(ctx, cfg)
	if err != nil {
		return engine.Sandbox{}, err
	}
	w.deps.Own(id, w)
	return w.deps.Engine.Sandbox(ctx, id)
}

func (w *Worker) stopSandbox(ctx context.Context, s Step) error {
	if err := w.deps.Engine.StopSandbox(ctx, s.ID); err != nil {
		w.event("", "Warning", "FailedKillPod", "error killing pod: %s", err)
		w.wakeIn(time.Second)
		return err
	}
	for i := range w.st.Sandboxes {
		if w.st.Sandboxes[i].ID == s.ID {
			w.st.Sandboxes[i].State = engine.SandboxNotReady
		}
	}
	return nil
}
