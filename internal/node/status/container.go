package status

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// IDPrefix precedes engine ids in the API.
const IDPrefix = "dhow://"

// container reports one container. old are the statuses before, for what the engine has forgotten.
func container(p *state.Pod, c *corev1.Container, init bool, old []corev1.ContainerStatus) corev1.ContainerStatus {
	was := find(old, c.Name)
	s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, VolumeMounts: mounts(c)}
	n, m := p.Newest(c.Name), p.Mem.Containers[c.Name]
	if m == nil {
		m = &state.Container{}
	}
	if n == nil {
		forgotten(p, &s, was, m)
	} else {
		present(p, &s, c, n, m, init && !state.Sidecar(c))
	}
	if s.LastTerminationState.Terminated == nil && was != nil && s.RestartCount > 0 {
		s.LastTerminationState = was.LastTerminationState
	}
	started, ready := progress(p, c, n, m, init)
	s.Started, s.Ready = &started, ready
	if n != nil && n.State == engine.ContainerRunning {
		s.AllocatedResources = c.Resources.Requests
		r := c.Resources
		s.Resources = &r
		if m.Resizing && was != nil && was.Resources != nil {
			s.Resources = was.Resources
		}
	} else if was != nil && n != nil {
		s.AllocatedResources, s.Resources = was.AllocatedResources, was.Resources
	}
	return s
}

// forgotten reports a container the engine has nothing of: not made yet, or lost.
func forgotten(p *state.Pod, s, was *corev1.ContainerStatus, m *state.Container) {
	switch {
	case was != nil && was.State.Terminated != nil:
		*s = *was
		return
	case was != nil && was.State.Running != nil:
		s.ImageID, s.ContainerID, s.RestartCount = was.ImageID, was.ContainerID, was.RestartCount+1
		lost := &corev1.ContainerStateTerminated{
			Reason:   "ContainerStatusUnknown",
			Message:  "The container could not be located when the pod was terminated",
			ExitCode: 137,
		}
		if ending(p) {
			s.State.Terminated = lost
			return
		}
		s.LastTerminationState.Terminated = lost
	case was != nil:
		s.RestartCount, s.LastTerminationState = was.RestartCount, was.LastTerminationState
	}
	s.State.Waiting = waiting(p, m)
}

func ending(p *state.Pod) bool {
	return p.Gone || p.API.DeletionTimestamp != nil || p.Mem.Failed != nil
}

// present reports a container from the engine's view of its last attempt.
func present(p *state.Pod, s *corev1.ContainerStatus, c *corev1.Container, n *engine.Container, m *state.Container, init bool) {
	s.ImageID = n.ImageRef
	s.ContainerID = IDPrefix + n.ID
	s.RestartCount = int32(n.Config.Attempt)
	if prev := p.Previous(c.Name); prev != nil && prev.State == engine.ContainerExited {
		s.LastTerminationState.Terminated = terminated(p, prev)
	}
	switch n.State {
	case engine.ContainerRunning:
		if m.ID == n.ID && m.PostStart == state.Running {
			s.State.Waiting = waiting(p, &state.Container{})
			return
		}
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(n.Started)}
		if n.User != nil {
			s.User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: n.User.UID, GID: n.User.GID, SupplementalGroups: n.User.Groups}}
		}
	case engine.ContainerExited:
		t := terminated(p, n)
		if m.Waiting != nil && !ending(p) && state.Restarts(p.API, c, n, init) {
			s.State.Waiting, s.LastTerminationState.Terminated = waiting(p, m), t
			return
		}
		s.State.Terminated = t
	default:
		s.State.Waiting = waiting(p, m)
	}
}

// waiting says why a container does not run.
func waiting(p *state.Pod, m *state.Container) *corev1.ContainerStateWaiting {
	if m.Waiting != nil {
		return &corev1.ContainerStateWaiting{Reason: m.Waiting.Reason, Message: m.Waiting.Message}
	}
	if len(p.API.Spec.InitContainers) > 0 {
		return &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
	}
	return &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
}

func terminated(p *state.Pod, n *engine.Container) *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode: int32(n.ExitCode), Reason: n.Reason, Message: n.Message,
		FinishedAt: metav1.NewTime(n.Finished), ContainerID: IDPrefix + n.ID,
	}
	if msg, ok := p.Mem.Messages[n.ID]; ok && msg != "" {
		t.Message = msg
	}
	if t.Reason == "" {
		t.Reason = "Completed"
		if n.ExitCode != 0 {
			t.Reason = "Error"
		}
	}
	if !n.Started.IsZero() {
		t.StartedAt = metav1.NewTime(n.Started)
	} else {
		t.StartedAt = metav1.NewTime(time.Unix(0, 0))
	}
	return t
}

// progress tells started and ready.
func progress(p *state.Pod, c *corev1.Container, n *engine.Container, m *state.Container, init bool) (started, ready bool) {
	if n == nil {
		return false, false
	}
	if init && !state.Sidecar(c) {
		return n.State == engine.ContainerRunning, n.State == engine.ContainerExited && n.ExitCode == 0
	}
	if n.State != engine.ContainerRunning || m.ID != n.ID || m.PostStart == state.Running {
		return false, false
	}
	started = c.StartupProbe == nil || m.Startup == state.Success
	if c.ReadinessProbe == nil {
		return started, started
	}
	return started, started && m.Readiness == state.Success
}

func find(l []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range l {
		if l[i].Name == name {
			return &l[i]
		}
	}
	return nil
}

func mounts(c *corev1.Container) (out []corev1.VolumeMountStatus) {
	for _, v := range c.VolumeMounts {
		s := corev1.VolumeMountStatus{Name: v.Name, MountPath: v.MountPath, ReadOnly: v.ReadOnly}
		if v.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if r := v.RecursiveReadOnly; r != nil && *r != corev1.RecursiveReadOnlyDisabled {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			s.RecursiveReadOnly = &mode
		}
		out = append(out, s)
	}
	return out
}
