// Package daemonset keeps one pod on every node that wants it. It rolls by
// deleting old pods; maxSurge is treated as maxUnavailable 1.
//
// plan.go decides, daemonset.go and revision.go do. Read plan.go first.
package daemonset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/dhow-project/dhow/internal/controller"
)

type plan struct {
	create []string // nodes
	delete []*corev1.Pod
	status appsv1.DaemonSetStatus
	again  time.Duration
}

// node says where a daemon's pod is or is meant to be.
func node(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range t.MatchFields {
			if f.Key == "metadata.name" && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

// fits is whether a pod of ds should be started on n, and whether one that is there may stay.
func fits(sample *corev1.Pod, n *corev1.Node) (start, stay bool) {
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(sample).Match(n); err != nil || !ok {
		return false, false
	}
	start, stay = true, true
	for _, t := range n.Spec.Taints {
		if slices.ContainsFunc(sample.Spec.Tolerations, func(tol corev1.Toleration) bool { return tolerates(tol, t) }) {
			continue
		}
		switch t.Effect {
		case corev1.TaintEffectNoExecute:
			start, stay = false, false
		case corev1.TaintEffectNoSchedule:
			start = false
		}
	}
	return start, stay
}

func tolerates(tol corev1.Toleration, t corev1.Taint) bool {
	switch {
	case tol.Effect != "" && tol.Effect != t.Effect, tol.Key != "" && tol.Key != t.Key:
		return false
	case tol.Operator == corev1.TolerationOpExists:
		return true
	}
	return tol.Value == t.Value
}

func decide(ds *appsv1.DaemonSet, hash string, nodes []*corev1.Node, pods []*corev1.Pod, now time.Time) plan {
	p := plan{status: appsv1.DaemonSetStatus{ObservedGeneration: ds.Generation, CollisionCount: ds.Status.CollisionCount, Conditions: ds.Status.Conditions}}
	on := map[string][]*corev1.Pod{}
	for _, pod := range pods {
		on[node(pod)] = append(on[node(pod)], pod)
	}
	sample := &corev1.Pod{Spec: *ds.Spec.Template.Spec.DeepCopy()}
	tolerate(&sample.Spec)
	var old []*corev1.Pod
	minReady := time.Duration(ds.Spec.MinReadySeconds) * time.Second
	for _, n := range nodes {
		here := on[n.Name]
		start, stay := fits(sample, n)
		switch {
		case start && len(here) == 0:
			p.create = append(p.create, n.Name)
		case !stay:
			p.delete = append(p.delete, living(here)...)
		}
		if !start && (len(here) == 0 || !stay) {
			if len(here) > 0 {
				p.status.NumberMisscheduled++
			}
			continue
		}
		p.status.DesiredNumberScheduled++
		keep := p.one(here)
		if keep == nil {
			continue
		}
		p.status.CurrentNumberScheduled++
		if keep.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == hash {
			p.status.UpdatedNumberScheduled++
		} else if keep.DeletionTimestamp == nil {
			old = append(old, keep)
		}
		if keep.DeletionTimestamp == nil && controller.PodReady(keep) {
			p.status.NumberReady++
		}
		if ok, in := controller.PodAvailable(keep, minReady, now); ok && keep.DeletionTimestamp == nil {
			p.status.NumberAvailable++
		} else if in > 0 && (p.again == 0 || in < p.again) {
			p.again = in
		}
	}
	p.status.NumberUnavailable = p.status.DesiredNumberScheduled - p.status.NumberAvailable
	if ds.DeletionTimestamp != nil {
		p.create, p.delete = nil, nil
		return p
	}
	p.roll(ds, old, minReady, now)
	return p
}

// one keeps the oldest pod of a node, and deletes others and what has failed.
func (p *plan) one(here []*corev1.Pod) *corev1.Pod {
	slices.SortFunc(here, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	var keep *corev1.Pod
	for _, pod := range here {
		switch {
		case pod.DeletionTimestamp != nil:
			if keep == nil {
				keep = pod
			}
		case controller.PodFinished(pod), keep != nil && keep.DeletionTimestamp == nil:
			p.delete = append(p.delete, pod)
		default:
			keep = pod
		}
	}
	return keep
}

func living(in []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(in), func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// roll deletes old pods: those that are not available at once, others as far as maxUnavailable allows.
func (p *plan) roll(ds *appsv1.DaemonSet, old []*corev1.Pod, minReady time.Duration, now time.Time) {
	if ds.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return
	}
	limit := 1
	if r := ds.Spec.UpdateStrategy.RollingUpdate; r != nil && r.MaxUnavailable != nil {
		if n, err := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, int(p.status.DesiredNumberScheduled), true); err == nil {
			limit = max(1, n)
		}
	}
	room := limit - int(p.status.NumberUnavailable)
	for _, pod := range old {
		if slices.Contains(p.delete, pod) {
			continue
		}
		if ok, _ := controller.PodAvailable(pod, minReady, now); ok {
			if room <= 0 {
				continue
			}
			room--
		}
		p.delete = append(p.delete, pod)
	}
}

// tolerate adds what every daemon bears.
func tolerate(s *corev1.PodSpec) {
	add := func(key string, effect corev1.TaintEffect) {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
		if !slices.ContainsFunc(s.Tolerations, func(had corev1.Toleration) bool {
			return had.Key == key && had.Effect == effect && had.Operator == t.Operator
		}) {
			s.Tolerations = append(s.Tolerations, t)
		}
	}
	add(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)
	for _, key := range []string{corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure, corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable} {
		add(key, corev1.TaintEffectNoSchedule)
	}
	if s.HostNetwork {
		add(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)
	}
}

// pin binds a pod to a node through the scheduler: every term of its affinity gets the node's name.
func pin(s *corev1.PodSpec, name string) {
	field := []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{name}}}
	if s.Affinity == nil {
		s.Affinity = &corev1.Affinity{}
	}
	if s.Affinity.NodeAffinity == nil {
		s.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	// The node was checked against the terms already; upstream replaces them as well.
	s.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: field}}}
}
