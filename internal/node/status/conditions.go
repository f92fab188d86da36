package status

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// owned are the conditions the node writes; all others belong to somebody else and are kept.
var owned = [...]corev1.PodConditionType{
	corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	corev1.PodResizeInProgress,
}

// Owned reports whether the node writes the condition.
func Owned(t corev1.PodConditionType) bool {
	for _, o := range owned {
		if o == t {
			return true
		}
	}
	return false
}

// conditions fills the conditions in upstream's order.
func conditions(p *state.Pod, s, prev *corev1.PodStatus) {
	sb := p.Sandbox()
	ready := containersReady(p, s)
	podReady := ready
	podReady.Type = corev1.PodReady
	if ready.Status == corev1.ConditionTrue {
		if msg := gates(p); msg != "" {
			podReady.Status, podReady.Reason, podReady.Message = corev1.ConditionFalse, "ReadinessGatesNotReady", msg
		}
	}
	for _, c := range []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: boolean(sb != nil && sb.State == engine.SandboxReady)},
		initialized(p, s),
		podReady,
		ready,
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
	} {
		c.ObservedGeneration = p.API.Generation
		s.Conditions = append(s.Conditions, since(c, prev, p))
	}
	for _, m := range p.Mem.Containers {
		if m.Resizing {
			s.Conditions = append(s.Conditions, since(corev1.PodCondition{Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue,
				ObservedGeneration: p.API.Generation}, prev, p))
			break
		}
	}
	if f := p.Mem.Failed; f != nil && f.Reason == "Evicted" {
		s.Conditions = append(s.Conditions, since(corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "TerminationByKubelet", Message: f.Message, ObservedGeneration: p.API.Generation}, prev, p))
	}
}

// Merge adds to s the conditions of api that are not the node's, and keeps what others wrote.
func Merge(s corev1.PodStatus, api *corev1.PodStatus) corev1.PodStatus {
	conds := append([]corev1.PodCondition(nil), s.Conditions...)
	for _, c := range api.Conditions {
		if !Owned(c.Type) && !has(conds, c.Type) {
			conds = append(conds, c)
		}
	}
	s.Conditions = conds
	s.NominatedNodeName = api.NominatedNodeName
	s.ResourceClaimStatuses = api.ResourceClaimStatuses
	return s
}

func has(l []corev1.PodCondition, t corev1.PodConditionType) bool {
	for i := range l {
		if l[i].Type == t {
			return true
		}
	}
	return false
}

// since keeps the transition time of an unchanged condition.
func since(c corev1.PodCondition, prev *corev1.PodStatus, p *state.Pod) corev1.PodCondition {
	c.LastTransitionTime = metav1.NewTime(p.Now)
	for i := range prev.Conditions {
		if o := &prev.Conditions[i]; o.Type == c.Type && o.Status == c.Status {
			c.LastTransitionTime = o.LastTransitionTime
		}
	}
	return c
}

func boolean(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

func initialized(p *state.Pod, s *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	if s.Phase == corev1.PodSucceeded {
		c.Reason = "PodCompleted"
		return c
	}
	for _, st := range s.ContainerStatuses {
		if st.State.Running != nil || st.State.Terminated != nil || st.LastTerminationState.Terminated != nil {
			return c
		}
	}
	var left []string
	for i := range p.API.Spec.InitContainers {
		st := &s.InitContainerStatuses[i]
		if state.Sidecar(&p.API.Spec.InitContainers[i]) && !*st.Started || !state.Sidecar(&p.API.Spec.InitContainers[i]) && !st.Ready {
			left = append(left, st.Name)
		}
	}
	if left != nil {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: %s", left)
	}
	return c
}

func containersReady(p *state.Pod, s *corev1.PodStatus) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionFalse}
	switch s.Phase {
	case corev1.PodSucceeded:
		c.Reason = "PodCompleted"
		return c
	case corev1.PodFailed:
		c.Reason = "PodFailed"
		return c
	}
	var unready []string
	for i, st := range s.InitContainerStatuses {
		if state.Sidecar(&p.API.Spec.InitContainers[i]) && !st.Ready {
			unready = append(unready, st.Name)
		}
	}
	for _, st := range s.ContainerStatuses {
		if !st.Ready {
			unready = append(unready, st.Name)
		}
	}
	if unready != nil {
		c.Reason, c.Message = "ContainersNotReady", fmt.Sprintf("containers with unready status: %s", unready)
		return c
	}
	c.Status = corev1.ConditionTrue
	return c
}

// gates explains which readiness gates are closed; "" when all are open.
func gates(p *state.Pod) string {
	var msgs []string
	for _, g := range p.API.Spec.ReadinessGates {
		found := false
		for _, c := range p.API.Status.Conditions {
			if c.Type != g.ConditionType {
				continue
			}
			found = true
			if c.Status != corev1.ConditionTrue {
				msgs = append(msgs, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", string(g.ConditionType), c.Status))
			}
		}
		if !found {
			msgs = append(msgs, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", string(g.ConditionType)))
		}
	}
	return strings.Join(msgs, ", ")
}
