package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// ConfigError is the waiting reason of a container whose environment or security settings cannot be made.
const ConfigError = "CreateContainerConfigError"

// startContainer builds the config, creates and starts the container, and runs its post-start hook.
func (w *Worker) startContainer(ctx context.Context, s Step) error {
	c, k := find(w.st.API, s.Container)
	m := w.st.Mem.Container(c.Name)
	req := ContainerRequest{Pod: w.st.API, Spec: c, Image: m.ImageID, Attempt: w.attempt(c.Name)}
	sb := *w.st.Sandbox()
	req.Sandbox = &sb
	if k == ephemeralKind {
		req.Target = w.target(c.Name)
	}
	if n := w.st.Newest(c.Name); n != nil && n.State == engine.ContainerExited {
		m.Crash.Next(n.Finished, w.st.Now)
	}
	m.ImageID = "" // the next start asks anew: the image may be gone, or the policy Always
	w.beside(func(*state.Pod) { m.Start = state.Running }, func() func(*state.Pod) {
		id, err := s.ID, error(nil)
		if id == "" {
			id, err = w.createOne(ctx, &req)
		}
		if err == nil {
			err = w.startOne(ctx, req.Pod, c.Name, id)
		}
		var seen engine.Container
		if id != "" {
			seen, _ = w.deps.Engine.Container(ctx, id)
		}
		return func(st *state.Pod) {
			m.Start = state.Idle
			if seen.ID != "" {
				w.put(seen)
			}
			w.startedOne(ctx, c, m, &seen, err)
		}
	})
	return nil
}

// attempt is the number of the next attempt: also what the API shows counts, when the engine has forgotten.
func (w *Worker) attempt(name string) uint32 {
	if n := w.st.Newest(name); n != nil {
		return n.Config.Attempt + 1
	}
	for _, l := range [][]corev1.ContainerStatus{w.st.API.Status.ContainerStatuses, w.st.API.Status.InitContainerStatuses} {
		for _, s := range l {
			if s.Name == name && s.ContainerID != "" {
				return uint32(s.RestartCount) + 1
			}
		}
	}
	return 0
}

func (w *Worker) target(name string) string {
	for _, e := range w.st.API.Spec.EphemeralContainers {
		if e.Name == name && e.TargetContainerName != "" {
			if n := w.st.Newest(e.TargetContainerName); n != nil {
				return n.ID
			}
		}
	}
	return ""
}

func (w *Worker) createOne(ctx context.Context, r *ContainerRequest) (string, error) {
	cfg, err := w.deps.Build.Container(ctx, *r)
	if err != nil {
		return "", err
	}
	id, err := w.deps.Engine.CreateContainer(ctx, r.Sandbox.ID, cfg)
	if fault.Is(err, fault.Exists) { // made by a call whose answer we never saw
		id, err = w.madeContainer(ctx, r, err)
	}
	if err != nil {
		return "", &Failure{Reason: "CreateContainerError", Message: err.Error(), Err: err}
	}
	w.deps.Events.Event(r.Pod, r.Spec.Name, "Normal", "Created", "Container created")
	return id, nil
}

// madeContainer finds the container of an attempt that exists already.
func (w *Worker) madeContainer(ctx context.Context, r *ContainerRequest, exists error) (string, error) {
	l, err := w.deps.Engine.ListContainers(ctx, engine.Filter{SandboxID: r.Sandbox.ID})
	if err != nil {
		return "", err
	}
	for _, c := range l {
		if c.Config.Name == r.Spec.Name && c.Config.Attempt == r.Attempt {
			return c.ID, nil
		}
	}
	return "", exists
}

func (w *Worker) startOne(ctx context.Context, pod *corev1.Pod, name, id string) error {
	if err := w.deps.Engine.StartContainer(ctx, id); err != nil {
		return &Failure{Reason: "RunContainerError", Message: err.Error(), Err: err}
	}
	w.deps.Events.Event(pod, name, "Normal", "Started", "Container started")
	return nil
}

// startedOne records the outcome of a start.
func (w *Worker) startedOne(ctx context.Context, c *corev1.Container, m *state.Container, n *engine.Container, err error) {
	if err != nil {
		f := &Failure{Reason: "CreateContainerError", Message: err.Error()}
		errors.As(err, &f)
		if m.Waiting == nil || m.Waiting.Message != f.Message {
			w.event(c.Name, "Warning", "Failed", "Error: %s", f.Message)
		}
		m.Waiting = &state.Reason{Reason: f.Reason, Message: f.Message}
		m.NotTill = time.Now().Add(state.FirstDelay)
		return
	}
	m.Waiting, m.NotTill = nil, time.Time{}
	adopt(m, n)
	if c.Lifecycle == nil || c.Lifecycle.PostStart == nil || n.State != engine.ContainerRunning {
		return
	}
	m.PostStart = state.Running
	pod, ip, id := w.st.API, w.ip(), n.ID
	w.wg.Go(func() {
		err := w.deps.Hooks.Run(ctx, pod, c, id, ip, c.Lifecycle.PostStart)
		w.Post(func(*state.Pod) {
			if m.ID != id {
				return
			}
			m.PostStart = state.Done
			if err != nil {
				w.event(c.Name, "Warning", "FailedPostStartHook", "PostStartHook failed")
				m.Kill = &state.Reason{Reason: "FailedPostStartHook", Message: fmt.Sprintf("Container %s failed its post-start hook: %s", c.Name, err)}
				m.KillStart = time.Now()
			}
		})
	})
}

func (w *Worker) ip() string {
	if s := w.st.Sandbox(); s != nil && len(s.IPs) > 0 {
		return s.IPs[0]
	}
	if ips := w.deps.Host().IPs; len(ips) > 0 {
		return ips[0]
	}
	return "127.0.0.1"
}

func (w *Worker) backOff(_ context.Context, s Step) error {
	w.st.Mem.Container(s.Container).Waiting = &s.Reason
	w.event(s.Container, "Warning", "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)",
		s.Container, w.st.API.Name, w.st.API.Namespace, w.st.API.UID)
	return nil
}
