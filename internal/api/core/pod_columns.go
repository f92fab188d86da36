package core

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// nodeLost is the reason the node lifecycle controller gives pods of a node that is gone.
const nodeLost = "NodeLost"

func podColumns() []metav1.TableColumnDefinition {
	status, spec := corev1.PodStatus{}.SwaggerDoc(), corev1.PodSpec{}.SwaggerDoc()
	return append(kit.Columns(
		kit.Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
		kit.Column("Status", "The aggregate status of the containers in this pod."),
		kit.Column("Restarts", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."),
	), kit.Wide(
		kit.Column("IP", status["podIP"]),
		kit.Column("Node", spec["nodeName"]),
		kit.Column("Nominated Node", status["nominatedNodeName"]),
		kit.Column("Readiness Gates", spec["readinessGates"]),
	)...)
}

func podCells(p *corev1.Pod, now time.Time) []any {
	s := summarize(p)
	restarts := strconv.Itoa(s.restarts)
	if s.restarts != 0 && !s.restarted.IsZero() {
		restarts = fmt.Sprintf("%d (%s ago)", s.restarts, kit.Ago(s.restarted, now))
	}
	ip := ""
	if len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	return []any{
		p.Name, fmt.Sprintf("%d/%d", s.ready, s.total), s.reason, restarts, kit.Age(p, now),
		kit.Or(ip, "<none>"), kit.Or(p.Spec.NodeName, "<none>"), kit.Or(p.Status.NominatedNodeName, "<none>"), podGates(p),
	}
}

func podGates(p *corev1.Pod) string {
	if len(p.Spec.ReadinessGates) == 0 {
		return "<none>"
	}
	open := 0
	for _, g := range p.Spec.ReadinessGates {
		if podCondition(p, g.ConditionType) {
			open++
		}
	}
	return fmt.Sprintf("%d/%d", open, len(p.Spec.ReadinessGates))
}

func podCondition(p *corev1.Pod, t corev1.PodConditionType) bool {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return p.Status.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}

// summary is a pod in a line.
type summary struct {
	ready, total, restarts int
	restarted              metav1.Time // last time
	reason                 string
}

// count adds the restarts of a container.
func (s *summary) count(c *corev1.ContainerStatus) {
	s.restarts += int(c.RestartCount)
	if t := c.LastTerminationState.Terminated; t != nil && s.restarted.Before(&t.FinishedAt) {
		s.restarted = t.FinishedAt
	}
}

// summarize finds the word that says most about a pod: why it does not start yet, or why it does not run any more.
func summarize(p *corev1.Pod) summary {
	s := summary{total: len(p.Spec.Containers), reason: string(p.Status.Phase)}
	if p.Status.Reason != "" {
		s.reason = p.Status.Reason
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			s.reason = corev1.PodReasonSchedulingGated
		}
	}
	sidecars := map[string]bool{}
	for i := range p.Spec.InitContainers {
		if podspec.IsSidecar(&p.Spec.InitContainers[i]) {
			sidecars[p.Spec.InitContainers[i].Name] = true
			s.total++
		}
	}
	if !s.inits(p, sidecars) || podCondition(p, corev1.PodInitialized) {
		s.mains(p, sidecars)
	}
	terminal := p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
	switch {
	case p.DeletionTimestamp != nil && p.Status.Reason == nodeLost:
		s.reason = "Unknown"
	case p.DeletionTimestamp != nil && !terminal:
		s.reason = "Terminating"
	}
	return s
}

// inits goes through the init containers up to the first that is not done, and tells whether there is one.
func (s *summary) inits(p *corev1.Pod, sidecars map[string]bool) bool {
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		s.count(c)
		t, w := c.State.Terminated, c.State.Waiting
		switch {
		case t != nil && t.ExitCode == 0:
			continue
		case sidecars[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case t != nil:
			s.reason = "Init:" + ended(t)
		case w != nil && w.Reason != "" && w.Reason != "PodInitializing":
			s.reason = "Init:" + w.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(p.Spec.InitContainers))
		}
		return true
	}
	return false
}

func ended(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

// mains goes through the containers from the last to the first, whose state then is the pod's.
func (s *summary) mains(p *corev1.Pod, sidecars map[string]bool) {
	s.restarts, s.restarted = 0, metav1.Time{}
	for i := range p.Status.InitContainerStatuses {
		if c := &p.Status.InitContainerStatuses[i]; sidecars[c.Name] {
			s.count(c)
		}
	}
	running := false
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		c := &p.Status.ContainerStatuses[i]
		s.count(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.reason = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.reason = ended(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.reason == "Completed" && running {
		s.reason = "NotReady"
		if podCondition(p, corev1.PodReady) {
			s.reason = "Running"
		}
	}
}
