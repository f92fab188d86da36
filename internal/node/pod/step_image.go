package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dhow-project/dhow/internal/node/state"
)

// ensureImage finds the image, or begins a pull and comes back when it is over.
func (w *Worker) ensureImage(ctx context.Context, s Step) error {
	c, _ := find(w.st.API, s.Container)
	m := w.st.Mem.Container(c.Name)
	id, err := w.deps.Images.Present(ctx, w.st.API, c)
	switch {
	case err != nil:
		w.imageFailed(m, c.Name, c.Image, err)
		return nil
	case id != "":
		w.event(c.Name, "Normal", "Pulled", "Container image %q already present on machine", c.Image)
		m.ImageID, m.ImageSpec = id, c.Image
		return nil
	}
	if t := m.PullRetry.Until(m.PullRetry.Last, w.st.Now); !t.IsZero() && m.ImageSpec == c.Image {
		msg := fmt.Sprintf("Back-off pulling image %q", c.Image)
		w.event(c.Name, "Normal", "BackOff", "%s", msg)
		if m.Waiting != nil && m.Waiting.Reason == "ErrImagePull" {
			msg += ": ErrImagePull: " + m.Waiting.Message
		}
		m.Waiting, m.NotTill = &state.Reason{Reason: "ImagePullBackOff", Message: msg}, t
		w.event(c.Name, "Warning", "Failed", "Error: %s", "ImagePullBackOff")
		return nil
	}
	w.event(c.Name, "Normal", "Pulling", "Pulling image %q", c.Image)
	api, began := w.st.API, time.Now()
	m.Pull = state.Running
	w.wg.Go(func() {
		id, err := w.deps.Images.Pull(ctx, api, c)
		w.Post(func(st *state.Pod) {
			m := st.Mem.Container(c.Name)
			m.Pull = state.Idle
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				w.imageFailed(m, c.Name, c.Image, err)
				return
			}
			took := time.Since(began).Round(time.Millisecond)
			w.event(c.Name, "Normal", "Pulled", "Successfully pulled image %q in %s (%s including waiting)", c.Image, took, took)
			m.ImageID, m.ImageSpec, m.PullRetry, m.Waiting = id, c.Image, state.Retry{}, nil
		})
	})
	return nil
}

// imageFailed makes the container wait: one round with the error itself, then with the back-off.
func (w *Worker) imageFailed(m *state.Container, name, image string, err error) {
	now := time.Now()
	f := &Failure{Reason: "ErrImagePull", Message: err.Error()}
	errors.As(err, &f)
	m.ImageSpec, m.ImageID = image, ""
	if f.Reason == "ErrImagePull" {
		w.event(name, "Warning", "Failed", "Failed to pull image %q: %s", image, f.Message)
		m.PullRetry.Next(now, now)
		m.NotTill = now.Add(time.Second) // then its turn comes again, and it learns of its back-off
	} else {
		kind := f.Event
		if kind == "" {
			kind = "Failed"
		}
		if m.Waiting == nil || m.Waiting.Message != f.Message {
			w.event(name, "Warning", kind, "%s", f.Message)
		}
		m.NotTill = now.Add(state.FirstDelay)
	}
	m.Waiting = &state.Reason{Reason: f.Reason, Message: f.Message}
	w.event(name, "Warning", "Failed", "Error: %s", f.Reason)
}
