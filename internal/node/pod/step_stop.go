package pod

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/node/status"
)

// preStop runs the hook beside the worker; its deadline is the container's.
func (w *Worker) preStop(ctx context.Context, s Step) error {
	c, _ := find(w.st.API, s.Container)
	m := w.st.Mem.Container(s.Container)
	m.PreStop = state.Running
	w.announce(m, s)
	pod, ip := w.st.API, w.ip()
	w.wg.Go(func() {
		ctx, cancel := context.WithDeadline(ctx, s.Deadline)
		defer cancel()
		err := w.deps.Hooks.Run(ctx, pod, c, s.ID, ip, c.Lifecycle.PreStop)
		w.Post(func(*state.Pod) {
			if m.ID != s.ID {
				return
			}
			m.PreStop = state.Done
			if err != nil {
				w.event(c.Name, "Warning", "FailedPreStopHook", "PreStopHook failed")
			}
		})
	})
	return nil
}

// announce says once that a container is being ended.
func (w *Worker) announce(m *state.Container, s Step) {
	if m.KillStart.IsZero() || !m.Announced {
		m.Announced = true
		w.event(s.Container, "Normal", "Killing", "%s", s.Reason.Message)
	}
	if m.KillStart.IsZero() {
		m.KillStart = w.st.Now
	}
}

// stopContainer signals beside the worker, which learns of the exit like of any other.
func (w *Worker) stopContainer(ctx context.Context, s Step) error {
	m := w.st.Mem.Container(s.Container)
	w.announce(m, s)
	m.Stop, m.StopDeadline = state.Running, s.Deadline
	w.deps.Probes.Forget(s.ID)
	w.wg.Go(func() {
		err := w.deps.Engine.StopContainer(ctx, s.ID, s.Grace)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("container not stopped, trying again", "container", s.Container, "error", err)
			t := time.AfterFunc(time.Second, func() {
				w.Post(func(*state.Pod) {
					if m.ID == s.ID {
						m.Stop = state.Idle
					}
				})
			})
			context.AfterFunc(ctx, func() { t.Stop() })
			return
		}
		w.Touch(s.ID)
	})
	return nil
}

func (w *Worker) removeContainer(ctx context.Context, s Step) error {
	if err := w.deps.Engine.RemoveContainer(ctx, s.ID); err != nil {
		return err
	}
	w.st.Drop(s.ID)
	delete(w.st.Mem.Messages, s.ID)
	return nil
}

// probe starts the probes of what runs and ends those of what does not.
func (w *Worker) probe() {
	running := map[string]bool{}
	for i := range w.st.API.Spec.Containers {
		w.probeOne(w.st.API.Spec.Containers[i].Name, running)
	}
	for i := range w.st.API.Spec.InitContainers {
		if c := &w.st.API.Spec.InitContainers[i]; state.Sidecar(c) {
			w.probeOne(c.Name, running)
		}
	}
	for id := range w.probed {
		if !running[id] {
			w.deps.Probes.Forget(id)
			delete(w.probed, id)
		}
	}
}

func (w *Worker) probeOne(name string, running map[string]bool) {
	c, _ := find(w.st.API, name)
	if c.StartupProbe == nil && c.LivenessProbe == nil && c.ReadinessProbe == nil {
		return
	}
	n, m := w.st.Newest(name), w.st.Mem.Container(name)
	if n == nil || n.State != engine.ContainerRunning || m.ID != n.ID || m.PostStart == state.Running || m.Stop == state.Running {
		return
	}
	running[n.ID] = true
	if w.probed[n.ID] {
		return
	}
	w.probed[n.ID] = true
	t := ProbeTarget{Pod: w.st.API, Spec: c, ID: n.ID, IP: w.ip(), Started: n.Started}
	t.WasStarted, t.WasReady = w.before(n.ID)
	if t.WasStarted {
		m.Startup = state.Success
	}
	if t.WasReady {
		m.Readiness = state.Success
	}
	w.deps.Probes.Watch(t, w.verdict(name, m))
}

// before is what the API's status says of a running container: a restarted node begins from it.
func (w *Worker) before(id string) (started, ready bool) {
	api := &w.st.API.Status
	for _, l := range [][]corev1.ContainerStatus{api.ContainerStatuses, api.InitContainerStatuses} {
		for i := range l {
			if l[i].ContainerID == status.IDPrefix+id {
				return l[i].Started != nil && *l[i].Started, l[i].Ready
			}
		}
	}
	return false, false
}

// verdict receives probe results of one container.
func (w *Worker) verdict(name string, m *state.Container) func(ProbeResult) {
	return func(r ProbeResult) {
		w.Post(func(st *state.Pod) {
			if m.ID != r.ID {
				return
			}
			switch r.Kind {
			case Readiness:
				m.Readiness = r.Verdict
				return
			case Startup:
				m.Startup = r.Verdict
			}
			if r.Verdict == state.Failure && m.Kill == nil {
				m.Kill = &state.Reason{Reason: "Killing", Message: "Container " + name + " failed " + lower(r.Kind) + " probe, will be restarted"}
				m.KillGrace, m.KillStart = r.Grace, st.Now
			}
		})
	}
}

func lower(kind string) string {
	if kind == Startup {
		return "startup"
	}
	return "liveness"
}
