package pod

import (
	"context"

	"github.com/dhow-project/dhow/internal/node/state"
)

func (w *Worker) fail(_ context.Context, s Step) error {
	w.st.Mem.Failed = &state.Reason{Reason: s.Reason.Reason, Message: s.Reason.Message}
	w.event("", "Normal", s.Reason.Reason, "%s", s.Reason.Message)
	return nil
}

func (w *Worker) beginKill(context.Context, Step) error {
	w.st.Mem.KillStart = w.st.Now
	return nil
}
