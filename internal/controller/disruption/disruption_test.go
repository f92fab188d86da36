package disruption

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestDecide(t *testing.T) {
	now := time.Now()
	var pods []*corev1.Pod
	for _, name := range []string{"a", "b", "c", "d"} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if name != "d" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		pods = append(pods, p)
	}
	two, half, one := intstr.FromInt32(2), intstr.FromString("50%"), intstr.FromInt32(1)
	for _, c := range []struct {
		name      string
		spec      policyv1.PodDisruptionBudgetSpec
		disrupted map[string]metav1.Time
		want      int32
	}{
		{"two must stay", policyv1.PodDisruptionBudgetSpec{MinAvailable: &two}, nil, 1},
		{"half must stay", policyv1.PodDisruptionBudgetSpec{MinAvailable: &half}, nil, 1},
		{"one may go, one is down", policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one}, nil, 0},
		{"one is just being evicted", policyv1.PodDisruptionBudgetSpec{MinAvailable: &two}, map[string]metav1.Time{"a": metav1.NewTime(now)}, 0},
		{"an eviction came to nothing", policyv1.PodDisruptionBudgetSpec{MinAvailable: &two}, map[string]metav1.Time{"a": metav1.NewTime(now.Add(-time.Hour))}, 1},
	} {
		b := &policyv1.PodDisruptionBudget{Spec: c.spec}
		b.Status.DisruptedPods = c.disrupted
		decide(b, pods, 4, nil, now)
		if b.Status.DisruptionsAllowed != c.want {
			t.Errorf("%s: %d allowed, want %d", c.name, b.Status.DisruptionsAllowed, c.want)
		}
	}
}
