package pod

import (
	"context"
	"fmt"
)

// resize changes the limits of a running container or, without one's name, of the pod. Without limits it asks for the
// container's end: a new one has the new size.
func (w *Worker) resize(ctx context.Context, s Step) error {
	if s.Container == "" {
		if err := w.deps.Engine.UpdateResources(ctx, s.ID, *s.Resources); err != nil {
			return fmt.Errorf("resize pod: %w", err)
		}
		seen, err := w.deps.Engine.Sandbox(ctx, s.ID)
		if err != nil {
			return fmt.Errorf("resize pod: %w", err)
		}
		w.st.PutSandbox(seen)
		return nil
	}
	m := w.st.Mem.Container(s.Container)
	if m.ID != s.ID {
		adopt(m, w.st.Newest(s.Container))
	}
	m.Resizing = true
	if s.Resources == nil {
		m.Kill, m.KillStart = &s.Reason, w.st.Now
		return nil
	}
	if err := w.deps.Engine.UpdateResources(ctx, s.ID, *s.Resources); err != nil {
		return fmt.Errorf("resize container %s: %w", s.Container, err)
	}
	m.Resizing = false
	w.refresh(ctx, s.ID)
	return nil
}
