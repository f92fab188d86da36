// Package status reports a pod: what the node knows becomes the API's
// PodStatus. It is pure; the caller writes the result.
//
// It must agree with upstream's words and rules exactly: controllers and
// kubectl read them. Read Compute first.
package status

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// Host is what a pod's status says about its node.
type Host struct {
	Name string
	IPs  []string // primary first
	// DualStack: a pod with the host's network shows all the host's addresses.
}

// Compute makes the status of p. prev is the last one computed or, at first, the API's: transition
// times and what the engine has forgotten come from it. It is not modified.
func Compute(p *state.Pod, prev *corev1.PodStatus, host Host) corev1.PodStatus {
	s := corev1.PodStatus{
		QOSClass:           QOS(p.API),
		ObservedGeneration: p.API.Generation,
		NominatedNodeName:  p.API.Status.NominatedNodeName,
	}
	if t := p.Mem.StartTime; !t.IsZero() {
		s.StartTime = &metav1.Time{Time: t}
	}
	ending := p.Gone || p.API.DeletionTimestamp != nil || p.Mem.Failed != nil || terminal(prev.Phase)
	inits := p.API.Spec.InitContainers
	for i := range inits {
		s.InitContainerStatuses = append(s.InitContainerStatuses, container(p, &inits[i], true, prev.InitContainerStatuses))
	}
	for i := range p.API.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, container(p, &p.API.Spec.Containers[i], false, prev.ContainerStatuses))
	}
	for i := range p.API.Spec.EphemeralContainers {
		s.EphemeralContainerStatuses = append(s.EphemeralContainerStatuses,
			container(p, state.Ephemeral(&p.API.Spec.EphemeralContainers[i]), false, prev.EphemeralContainerStatuses))
	}
	phase(p, &s, prev, ending)
	addresses(p, &s, prev, host)
	conditions(p, &s, prev)
	return s
}

func terminal(ph corev1.PodPhase) bool { return ph == corev1.PodSucceeded || ph == corev1.PodFailed }

// addresses fills host and pod addresses.
func addresses(p *state.Pod, s, prev *corev1.PodStatus, host Host) {
	if p.Mem.StartTime.IsZero() {
		return // refused: it never belonged here
	}
	for _, ip := range host.IPs {
		s.HostIPs = append(s.HostIPs, corev1.HostIP{IP: ip})
	}
	if len(host.IPs) > 0 {
		s.HostIP = host.IPs[0]
	}
	var ips []string
	sb := p.Sandbox()
	switch {
	case sb == nil || sb.State != engine.SandboxReady:
	case p.API.Spec.HostNetwork:
		ips = host.IPs
	default:
		ips = sb.IPs
	}
	if ips == nil {
		s.PodIP, s.PodIPs = prev.PodIP, prev.PodIPs // kept: a finished pod still shows where it was
		return
	}
	for _, ip := range ips {
		s.PodIPs = append(s.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		s.PodIP = ips[0]
	}
}

// RunningLeft reports whether any container runs or is about to.
func RunningLeft(p *state.Pod) bool {
	for _, l := range p.Engine {
		for i := range l {
			if l[i].State == engine.ContainerRunning {
				return true
			}
		}
	}
	return false
}
