package filter

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// unschedulable: a cordoned node takes only pods that tolerate its taint.
func unschedulable(_ *cluster.State, p *cluster.Pod) Test {
	cordon := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
	tolerated := tolerates(p.Object.Spec.Tolerations, &cordon)
	return func(n *cluster.Node) Verdict {
		if !n.Object.Spec.Unschedulable || tolerated {
			return Verdict{}
		}
		return Verdict{"node(s) were unschedulable", true}
	}
}

func taints(_ *cluster.State, p *cluster.Pod) Test {
	return func(n *cluster.Node) Verdict {
		if untolerated(n.Object, p.Object.Spec.Tolerations) {
			return Verdict{"node(s) had untolerated taint(s)", true}
		}
		return Verdict{}
	}
}

func untolerated(n *corev1.Node, tolerations []corev1.Toleration) bool {
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(tolerations, t) {
			return true
		}
	}
	return false
}

func tolerates(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	for i := range tolerations {
		if Tolerates(&tolerations[i], taint) {
			return true
		}
	}
	return false
}

// Tolerates is upstream's rule: an empty effect or key matches all, Exists ignores the value.
func Tolerates(t *corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case "", corev1.TolerationOpEqual:
		return t.Value == taint.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}
