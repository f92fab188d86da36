// Package replicaset keeps the wanted number of pods for ReplicaSets and, with
// the same logic, ReplicationControllers. It must not know deployments. Read plan.go first.
package replicaset

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/controller"
)

const burst = 500 // creations or deletions in one go

type plan struct {
	create int
	delete []*corev1.Pod
}

// decide compares what rs wants with its active pods. related are pods of the same owner's other sets: of two pods
// otherwise alike, the one on the node with more of them goes first.
func decide(rs *appsv1.ReplicaSet, active, related []*corev1.Pod, now time.Time) plan {
	diff := len(active) - int(*rs.Spec.Replicas)
	switch {
	case rs.DeletionTimestamp != nil || diff == 0:
		return plan{}
	case diff < 0:
		return plan{create: min(-diff, burst)}
	}
	diff = min(diff, burst)
	if diff == len(active) {
		return plan{delete: active}
	}
	return plan{delete: rank(active, related, now)[:diff]}
}

// rank sorts the pods that are best to delete first (upstream's ActivePodsWithRanks).
func rank(pods, related []*corev1.Pod, now time.Time) []*corev1.Pod {
	onNode := map[string]int{}
	for _, p := range related {
		if controller.PodActive(p) {
			onNode[p.Spec.NodeName]++
		}
	}
	phase := map[corev1.PodPhase]int{corev1.PodPending: 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}
	out := slices.Clone(pods)
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(
			boolFirst(a.Spec.NodeName == "", b.Spec.NodeName == ""),
			cmp.Compare(phase[a.Status.Phase], phase[b.Status.Phase]),
			boolFirst(!controller.PodReady(a), !controller.PodReady(b)),
			cmp.Compare(cost(a), cost(b)),
			cmp.Compare(onNode[b.Spec.NodeName], onNode[a.Spec.NodeName]),
			cmp.Compare(ageStep(readySince(a), now), ageStep(readySince(b), now)),
			cmp.Compare(restarts(b), restarts(a)),
			cmp.Compare(ageStep(a.CreationTimestamp.Time, now), ageStep(b.CreationTimestamp.Time, now)),
			cmp.Compare(a.UID, b.UID),
		)
	})
	return out
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func cost(p *corev1.Pod) int {
	n, err := strconv.ParseInt(p.Annotations[corev1.PodDeletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

func readySince(p *corev1.Pod) time.Time {
	if !controller.PodReady(p) {
		return time.Time{}
	}
	return controller.PodCondition(p, corev1.PodReady).LastTransitionTime.Time
}

// ageStep is the age on a logarithmic scale, so that among pods of about the same age chance decides.
func ageStep(t, now time.Time) int {
	if t.IsZero() {
		return 0
	}
	age, step := now.Sub(t), 0
	for ; age > 0; age /= 2 {
		step++
	}
	return step
}

func restarts(p *corev1.Pod) int32 {
	n := int32(0)
	for _, c := range p.Status.ContainerStatuses {
		n = max(n, c.RestartCount)
	}
	return n
}

// status is what rs' status should be; again is when a pod becomes available without any event.
func status(rs *appsv1.ReplicaSet, active []*corev1.Pod, failure error, diff int, now time.Time) (s appsv1.ReplicaSetStatus, again time.Duration) {
	s = *rs.Status.DeepCopy()
	s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas = int32(len(active)), 0, 0, 0
	template := labels.Set(rs.Spec.Template.Labels).AsSelectorPreValidated()
	minReady := time.Duration(rs.Spec.MinReadySeconds) * time.Second
	for _, p := range active {
		if template.Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if !controller.PodReady(p) {
			continue
		}
		s.ReadyReplicas++
		available, in := controller.PodAvailable(p, minReady, now)
		if available {
			s.AvailableReplicas++
		} else if in > 0 && (again == 0 || in < again) {
			again = in
		}
	}
	s.ObservedGeneration = rs.Generation
	s.Conditions = conditions(s.Conditions, failure, diff, now)
	return s, again
}
