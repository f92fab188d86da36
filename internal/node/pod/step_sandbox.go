package pod

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func (w *Worker) createSandbox(ctx context.Context, _ Step) error {
	api, attempt := w.st.API, uint32(0)
	if s := w.st.Sandbox(); s != nil {
		attempt = s.Config.Attempt + 1
	}
	w.beside(func(st *state.Pod) { st.Mem.Making = state.Running }, func() func(*state.Pod) {
		s, err := w.makeSandbox(ctx, api, attempt)
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

func (w *Worker) makeSandbox(ctx context.Context, api *corev1.Pod, attempt uint32) (engine.Sandbox, error) {
	cfg, err := w.deps.Build.Sandbox(ctx, api, attempt)
	if err != nil {
		return engine.Sandbox{}, err
	}
	id, err := w.deps.Engine.CreateSandbox(ctx, cfg)
	if fault.Is(err, fault.Exists) { // made by a call whose answer we never saw
		id, err = w.madeSandbox(ctx, api, attempt, err)
	}
	if err != nil {
		return engine.Sandbox{}, err
	}
	w.deps.Own(id, w)
	return w.deps.Engine.Sandbox(ctx, id)
}

// madeSandbox finds the sandbox of an attempt that exists already.
func (w *Worker) madeSandbox(ctx context.Context, api *corev1.Pod, attempt uint32, exists error) (string, error) {
	l, err := w.deps.Engine.ListSandboxes(ctx, engine.Filter{Labels: map[string]string{LabelUID: string(api.UID)}})
	if err != nil {
		return "", err
	}
	for _, s := range l {
		if s.Config.Attempt == attempt {
			return s.ID, nil
		}
	}
	return "", exists
}

func (w *Worker) stopSandbox(ctx context.Context, s Step) error {
	if err := w.deps.Engine.StopSandbox(ctx, s.ID); err != nil {
		w.event("", "Warning", "FailedKillPod", "error killing pod: %s", err)
		return err
	}
	for i := range w.st.Sandboxes {
		if w.st.Sandboxes[i].ID == s.ID {
			w.st.Sandboxes[i].State = engine.SandboxNotReady
		}
	}
	return nil
}
