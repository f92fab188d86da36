package status

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// phase fills phase, reason and message.
func phase(p *state.Pod, s, prev *corev1.PodStatus, ending bool) {
	running := RunningLeft(p)
	switch {
	case terminal(prev.Phase):
		s.Phase, s.Reason, s.Message = prev.Phase, prev.Reason, prev.Message
		return
	case p.Mem.Failed != nil:
		s.Phase, s.Reason, s.Message = corev1.PodFailed, p.Mem.Failed.Reason, p.Mem.Failed.Message
	default:
		s.Phase = fromContainers(p, s)
		if ending && !running && !terminal(s.Phase) && p.Mem.Cleaned {
			s.Phase = endedPhase(s)
		}
	}
	// A pod is not over while something of it runs.
	if terminal(s.Phase) && running {
		s.Phase, s.Reason, s.Message = prev.Phase, prev.Reason, prev.Message
		if s.Phase == "" {
			s.Phase = corev1.PodPending
		}
	}
}

// endedPhase is the phase of a deleted pod whose containers are all gone.
func endedPhase(s *corev1.PodStatus) corev1.PodPhase {
	for _, c := range s.ContainerStatuses {
		if t := c.State.Terminated; t == nil || t.ExitCode != 0 {
			return corev1.PodFailed
		}
	}
	return corev1.PodSucceeded
}

// fromContainers derives the phase from the containers alone.
func fromContainers(p *state.Pod, s *corev1.PodStatus) corev1.PodPhase {
	began := false // a main container was made
	for i := range p.API.Spec.Containers {
		if n := p.Newest(p.API.Spec.Containers[i].Name); n != nil && !n.Started.IsZero() {
			began = true
		}
	}
	pending := false
	for i := range p.API.Spec.InitContainers {
		c := &p.API.Spec.InitContainers[i]
		st := &s.InitContainerStatuses[i]
		n := p.Newest(c.Name)
		if state.Sidecar(c) {
			pending = pending || !began && !*st.Started
			continue
		}
		if n != nil && n.State == engine.ContainerExited && n.ExitCode != 0 && !state.Restarts(p.API, c, n, true) {
			return corev1.PodFailed
		}
		pending = pending || !st.Ready && !began
	}
	if pending {
		return corev1.PodPending
	}
	var running, waiting, stopped, final, succeeded int
	for i := range p.API.Spec.Containers {
		c, st := &p.API.Spec.Containers[i], &s.ContainerStatuses[i]
		t := st.State.Terminated
		switch {
		case st.State.Running != nil:
			running++
			continue
		case t == nil && st.LastTerminationState.Terminated != nil:
			t = st.LastTerminationState.Terminated
		case t == nil:
			waiting++
			continue
		}
		stopped++
		if !state.Restarts(p.API, c, &engine.Container{ExitCode: int(t.ExitCode)}, false) {
			final++
		}
		if t.ExitCode == 0 {
			succeeded++
		}
	}
	switch {
	case waiting > 0:
		return corev1.PodPending
	case running > 0 || final < stopped:
		return corev1.PodRunning
	case stopped == 0:
		return corev1.PodPending
	case succeeded == stopped:
		return corev1.PodSucceeded
	}
	return corev1.PodFailed
}
