package daemonset

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

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
	if sample.Spec.NodeName != "" && sample.Spec.NodeName != n.Name {
		return false, false
	}
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
