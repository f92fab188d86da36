// Package nodelife notices nodes that fell silent, taints nodes by their
// conditions, and evicts pods that do not tolerate a NoExecute taint.
//
// plan.go decides, nodelife.go does. Read plan.go first.
package nodelife

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	grace        = 40 * time.Second // silence after which a node is unknown
	firstGrace   = time.Minute      // the same for a node that never said anything
	unknown      = "NodeStatusUnknown"
	never        = "NodeStatusNeverUpdated"
	unknownText  = "Kubelet stopped posting node status."
	neverText    = "Kubelet never posted node status."
	evictReason  = "DeletionByTaintManager"
	evictMessage = "Taint manager: deleting due to NoExecute taint"
)

func condition(n *corev1.Node, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == t {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

// silent sets what the kubelet reports to Unknown if nothing was heard since then. Else it says when it would.
func silent(n *corev1.Node, heard, now time.Time) (status *corev1.NodeStatus, again time.Time) {
	limit := grace
	if condition(n, corev1.NodeReady) == nil {
		limit = firstGrace
	}
	if at := heard.Add(limit); at.After(now) {
		return nil, at
	}
	out := n.Status.DeepCopy()
	changed := false
	for _, t := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		i := slices.IndexFunc(out.Conditions, func(c corev1.NodeCondition) bool { return c.Type == t })
		switch {
		case i < 0:
			out.Conditions = append(out.Conditions, corev1.NodeCondition{
				Type: t, Status: corev1.ConditionUnknown, Reason: never, Message: neverText,
				LastHeartbeatTime: n.CreationTimestamp, LastTransitionTime: metav1.NewTime(now),
			})
		case out.Conditions[i].Status != corev1.ConditionUnknown:
			c := &out.Conditions[i]
			c.Status, c.Reason, c.Message, c.LastTransitionTime = corev1.ConditionUnknown, unknown, unknownText, metav1.NewTime(now)
		default:
			continue
		}
		changed = true
	}
	if !changed {
		return nil, time.Time{}
	}
	return out, time.Time{}
}

// taints are those n should have: its own and what its conditions say.
func taints(n *corev1.Node, now time.Time) []corev1.Taint {
	want := map[string]bool{}
	switch c := condition(n, corev1.NodeReady); {
	case c == nil:
		want[corev1.TaintNodeNotReady] = true
	case c.Status == corev1.ConditionFalse:
		want[corev1.TaintNodeNotReady] = true
	case c.Status == corev1.ConditionUnknown:
		want[corev1.TaintNodeUnreachable] = true
	}
	for t, key := range map[corev1.NodeConditionType]string{
		corev1.NodeMemoryPressure: corev1.TaintNodeMemoryPressure, corev1.NodeDiskPressure: corev1.TaintNodeDiskPressure,
		corev1.NodePIDPressure: corev1.TaintNodePIDPressure, corev1.NodeNetworkUnavailable: corev1.TaintNodeNetworkUnavailable,
	} {
		if c := condition(n, t); c != nil && c.Status == corev1.ConditionTrue {
			want[key] = true
		}
	}
	if n.Spec.Unschedulable {
		want[corev1.TaintNodeUnschedulable] = true
	}
	var out []corev1.Taint
	have := map[corev1.Taint]bool{}
	for _, t := range n.Spec.Taints {
		if slices.Contains(managed(), t.Key) && managedEffect(t) && (!want[t.Key] || t.Effect == corev1.TaintEffectNoExecute && !reported(n, t.Key)) {
			continue
		}
		out = append(out, t)
		have[corev1.Taint{Key: t.Key, Effect: t.Effect}] = true
	}
	at := metav1.NewTime(now.Truncate(time.Second))
	for _, key := range managed() {
		if !want[key] {
			continue
		}
		for _, effect := range effects(key) {
			if effect == corev1.TaintEffectNoExecute && !reported(n, key) || have[corev1.Taint{Key: key, Effect: effect}] {
				continue
			}
			out = append(out, corev1.Taint{Key: key, Effect: effect, TimeAdded: &at})
		}
	}
	return out
}

// reported is whether a NoExecute taint is due: not for a node that has yet to say anything.
func reported(n *corev1.Node, key string) bool {
	return key == corev1.TaintNodeUnreachable || condition(n, corev1.NodeReady) != nil
}

func managed() []string {
	return []string{
		corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeMemoryPressure, corev1.TaintNodeDiskPressure,
		corev1.TaintNodePIDPressure, corev1.TaintNodeNetworkUnavailable, corev1.TaintNodeUnschedulable,
	}
}

func effects(key string) []corev1.TaintEffect {
	if key == corev1.TaintNodeNotReady || key == corev1.TaintNodeUnreachable {
		return []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute}
	}
	return []corev1.TaintEffect{corev1.TaintEffectNoSchedule}
}

func managedEffect(t corev1.Taint) bool { return slices.Contains(effects(t.Key), t.Effect) }

// eviction is when p must leave a node with these taints; false: it may stay.
func eviction(p *corev1.Pod, on []corev1.Taint, now time.Time) (time.Time, bool) {
	var at time.Time
	evict := false
	for _, t := range on {
		if t.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		stay, forever := tolerated(p, t)
		if forever {
			continue
		}
		from := now
		if t.TimeAdded != nil && stay > 0 {
			from = t.TimeAdded.Time
		}
		if leave := from.Add(stay); !evict || leave.Before(at) {
			at, evict = leave, true
		}
	}
	return at, evict
}

// tolerated is how long p may stay in spite of t: the shortest of its matching tolerations.
func tolerated(p *corev1.Pod, t corev1.Taint) (stay time.Duration, forever bool) {
	matched := false
	for _, tol := range p.Spec.Tolerations {
		if !matches(tol, t) {
			continue
		}
		if tol.TolerationSeconds == nil {
			if !matched {
				forever = true
			}
			matched = true
			continue
		}
		d := time.Duration(max(0, *tol.TolerationSeconds)) * time.Second
		if !matched || forever || d < stay {
			stay, forever = d, false
		}
		matched = true
	}
	return stay, matched && forever
}

func matches(tol corev1.Toleration, t corev1.Taint) bool {
	switch {
	case tol.Effect != "" && tol.Effect != t.Effect, tol.Key != "" && tol.Key != t.Key:
		return false
	case tol.Operator == corev1.TolerationOpExists:
		return true
	}
	return (tol.Operator == "" || tol.Operator == corev1.TolerationOpEqual) && tol.Value == t.Value
}
