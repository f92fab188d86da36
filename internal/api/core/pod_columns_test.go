package core

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPodCells: the words people know pods by.
func TestPodCells(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	yes, always := true, corev1.ContainerRestartPolicyAlways
	running := corev1.ContainerStatus{Name: "c", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	waiting := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	ended := func(code, signal int32, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Signal: signal, Reason: reason}}}
	}
	restarted := running
	restarted.RestartCount = 4
	restarted.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{FinishedAt: ago(3 * time.Minute)}
	sidecar := running
	sidecar.Name, sidecar.Started = "side", &yes
	pod := func(phase corev1.PodPhase, status ...corev1.ContainerStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p", CreationTimestamp: ago(5 * time.Minute)},
			Spec:       corev1.PodSpec{Containers: make([]corev1.Container, max(len(status), 1))},
			Status:     corev1.PodStatus{Phase: phase, ContainerStatuses: status},
		}
	}
	with := func(p *corev1.Pod, f func(*corev1.Pod)) *corev1.Pod { f(p); return p }
	init := func(p *corev1.Pod, status ...corev1.ContainerStatus) *corev1.Pod {
		p.Spec.InitContainers = make([]corev1.Container, len(status))
		for i := range status {
			p.Spec.InitContainers[i].Name = status[i].Name
			if status[i].Name == "side" {
				p.Spec.InitContainers[i].RestartPolicy = &always
			}
		}
		p.Status.InitContainerStatuses = status
		return p
	}
	deleted := func(p *corev1.Pod) *corev1.Pod { t := ago(0); p.DeletionTimestamp = &t; return p }
	for _, c := range []struct {
		want string
		pod  *corev1.Pod
	}{
		{"0/1 Pending 0", pod(corev1.PodPending)},
		{"1/1 Running 0", pod(corev1.PodRunning, running)},
		{"1/1 Running 4 (3m ago)", pod(corev1.PodRunning, restarted)},
		{"0/1 ContainerCreating 0", pod(corev1.PodPending, waiting("ContainerCreating"))},
		{"0/1 CrashLoopBackOff 0", pod(corev1.PodRunning, waiting("CrashLoopBackOff"))},
		{"0/1 Completed 0", pod(corev1.PodSucceeded, ended(0, 0, "Completed"))},
		{"0/1 OOMKilled 0", pod(corev1.PodFailed, ended(137, 0, "OOMKilled"))},
		{"0/1 ExitCode:3 0", pod(corev1.PodFailed, ended(3, 0, ""))},
		{"0/1 Signal:9 0", pod(corev1.PodFailed, ended(137, 9, ""))},
		{"1/2 NotReady 0", pod(corev1.PodRunning, ended(0, 0, "Completed"), running)},
		{"1/1 Terminating 0", deleted(pod(corev1.PodRunning, running))},
		{"0/1 Completed 0", deleted(pod(corev1.PodSucceeded, ended(0, 0, "Completed")))},
		{"1/1 Unknown 0", deleted(with(pod(corev1.PodRunning, running), func(p *corev1.Pod) { p.Status.Reason = nodeLost }))},
		{"0/1 Evicted 0", with(pod(corev1.PodFailed), func(p *corev1.Pod) { p.Status.Reason = "Evicted" })},
		{"0/1 SchedulingGated 0", with(pod(corev1.PodPending), func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Reason: corev1.PodReasonSchedulingGated}}
		})},
		{"0/1 Init:0/1 0", init(pod(corev1.PodPending, waiting("PodInitializing")), running)},
		{"0/1 Init:1/2 0", init(pod(corev1.PodPending, waiting("PodInitializing")), ended(0, 0, ""), waiting("PodInitializing"))},
		{"0/1 Init:CrashLoopBackOff 0", init(pod(corev1.PodPending, waiting("PodInitializing")), waiting("CrashLoopBackOff"))},
		{"0/1 Init:Error 0", init(pod(corev1.PodPending, waiting("PodInitializing")), ended(1, 0, "Error"))},
		{"0/1 PodInitializing 0", init(pod(corev1.PodPending, waiting("PodInitializing")), ended(0, 0, ""))},
		{"2/2 Running 0", init(pod(corev1.PodRunning, running), sidecar)},
	} {
		cells := podCells(c.pod, now)
		if got := fmt.Sprintf("%v %v %v", cells[1], cells[2], cells[3]); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
