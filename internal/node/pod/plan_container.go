package pod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// one decides about one container of a pod that lives.
func one(p *state.Pod, plan *Plan, c *corev1.Container, init bool) {
	n := p.Newest(c.Name)
	m := p.Mem.Container(c.Name)
	switch {
	case n == nil:
		start(p, plan, c, nil)
	case n.State == engine.ContainerRunning:
		running(p, plan, c, n, m)
	case n.State == engine.ContainerCreated && p.Here(n):
		start(p, plan, c, n)
	case n.State != engine.ContainerExited || p.Here(n) && !state.Restarts(p.API, c, n, init && !state.Sidecar(c)):
		// done for good, or the engine does not know: leave it
	case !p.Here(n) && !init && !state.Restarts(p.API, c, n, false):
	default:
		restart(p, plan, c, n, m)
	}
}

func running(p *state.Pod, plan *Plan, c *corev1.Container, n *engine.Container, m *state.Container) {
	kill := m.Kill
	if m.ID != n.ID {
		kill = nil
	}
	if want := SpecHash(c); kill == nil && n.Config.Annotations[AnnotationHash] != "" && n.Config.Annotations[AnnotationHash] != want {
		kill = &state.Reason{Reason: "Killing", Message: fmt.Sprintf("Container %s definition changed, will be restarted", c.Name)}
	}
	if kill == nil {
		return
	}
	grace := time.Duration(state.GracePeriod(p.API)) * time.Second
	if m.KillGrace != nil {
		grace = time.Duration(*m.KillGrace) * time.Second
	}
	begin := m.KillStart
	if begin.IsZero() || m.ID != n.ID {
		begin = p.Now
	}
	stop(p, plan, c, n, begin.Add(grace), *kill, true)
}

// restart starts c anew when its back-off allows.
func restart(p *state.Pod, plan *Plan, c *corev1.Container, n *engine.Container, m *state.Container) {
	if t := m.Crash.Until(n.Finished, p.Now); !t.IsZero() {
		plan.wakeAt(t)
		if m.Waiting == nil || m.Waiting.Reason != "CrashLoopBackOff" {
			plan.add(Step{Do: BackOff, Container: c.Name, Reason: state.Reason{
				Reason: "CrashLoopBackOff",
				Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
					m.Crash.Delay, c.Name, p.API.Name, p.API.Namespace, p.API.UID)}})
		}
		return
	}
	start(p, plan, c, nil)
}

// start makes sure of the image, then creates and starts c; n is a container that was created but not started.
func start(p *state.Pod, plan *Plan, c *corev1.Container, n *engine.Container) {
	m := p.Mem.Container(c.Name)
	if p.Now.Before(m.NotTill) {
		plan.wakeAt(m.NotTill)
		return
	}
	if m.Pull == state.Running || m.Start == state.Running {
		return
	}
	if m.ImageID == "" || m.ImageSpec != c.Image {
		plan.add(Step{Do: EnsureImage, Container: c.Name})
		return
	}
	id := ""
	if n != nil {
		id = n.ID
	}
	plan.add(Step{Do: StartContainer, Container: c.Name, ID: id})
}

// stop ends a running container: its pre-stop hook, then the signal, all before deadline. turn is false
// while others have to go first.
func stop(p *state.Pod, plan *Plan, c *corev1.Container, n *engine.Container, deadline time.Time, why state.Reason, turn bool) {
	m := p.Mem.Container(c.Name)
	if m.ID != n.ID {
		adopt(m, n)
	}
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && m.PreStop != state.Done && p.Now.Before(deadline) && m.Stop == state.Idle {
		if m.PreStop == state.Idle {
			plan.add(Step{Do: PreStop, Container: c.Name, ID: n.ID, Deadline: deadline, Reason: why})
		}
		plan.wakeAt(deadline)
		return
	}
	if !turn && p.Now.Before(deadline) {
		plan.wakeAt(deadline)
		return
	}
	if m.Stop == state.Running && !deadline.Before(m.StopDeadline) {
		return
	}
	grace := max(deadline.Sub(p.Now), MinimumGrace)
	if m.Stop == state.Running && !p.Now.Add(grace).Before(m.StopDeadline) {
		return
	}
	plan.add(Step{Do: StopContainer, Container: c.Name, ID: n.ID, Grace: grace, Deadline: p.Now.Add(grace), Reason: why})
}

// MinimumGrace is what every process gets between its stop signal and SIGKILL, as upstream.
const MinimumGrace = 2 * time.Second

// adopt points m at another running container and forgets what was known of the one before.
func adopt(m *state.Container, n *engine.Container) {
	m.ID, m.PostStart, m.Kill, m.KillGrace = n.ID, state.Done, nil, nil
	m.Announced, m.KillStart, m.PreStop, m.Stop, m.StopDeadline = false, time.Time{}, state.Idle, state.Idle, time.Time{}
	m.Startup, m.Readiness, m.Resizing = state.Unknown, state.Unknown, false
}
