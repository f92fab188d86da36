package pod

import (
	"context"
	"time"

	"github.com/dhow-project/dhow/internal/node/state"
)

const (
	firstVolumeDelay = 500 * time.Millisecond
	mostVolumeDelay  = 2 * time.Minute
)

func (w *Worker) prepareVolumes(ctx context.Context, _ Step) error {
	api := w.st.API
	w.beside(func(st *state.Pod) { st.Mem.Volumes = state.Running }, func() func(*state.Pod) {
		err := w.deps.Volumes.Prepare(ctx, api)
		return func(st *state.Pod) {
			m := &st.Mem
			if err == nil {
				m.Volumes, m.VolumesError = state.Done, nil
				return
			}
			m.Volumes = state.Idle
			m.VolumesDelay = min(max(2*m.VolumesDelay, firstVolumeDelay), mostVolumeDelay)
			m.VolumesRetry = time.Now().Add(m.VolumesDelay)
			if m.VolumesError == nil || m.VolumesError.Message != err.Error() {
				w.event("", "Warning", "FailedMount", "%s", err)
			}
			m.VolumesError = &state.Reason{Reason: "FailedMount", Message: err.Error()}
		}
	})
	return nil
}

func (w *Worker) cleanUp(ctx context.Context, _ Step) error {
	for len(w.st.Sandboxes) > 0 {
		id := w.st.Sandboxes[0].ID
		if err := w.deps.Engine.RemoveSandbox(ctx, id); err != nil {
			return err
		}
		w.st.KeepDead()
		w.deps.Own(id, nil)
		w.st.DropSandbox(id)
	}
	if err := w.deps.Volumes.Release(ctx, w.st.API); err != nil {
		w.log.Warn("pod directory not removed; the next start of the node tries again", "error", err)
	}
	w.st.Mem.Cleaned = true
	return nil
}

func (w *Worker) forget(context.Context, Step) error {
	w.report()
	w.st.Mem.Finalized = true
	w.out.finalize()
	return nil
}
