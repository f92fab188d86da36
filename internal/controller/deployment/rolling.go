package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
)

// firstSize is how many replicas the set of a new template has at its creation, or can grow to now.
func firstSize(d *appsv1.Deployment, s sets, have int32) int32 {
	if !rolling(d) {
		return *d.Spec.Replicas
	}
	surge, _ := fences(d)
	room := *d.Spec.Replicas + surge - wanted(s.all())
	if room <= 0 {
		return have
	}
	return have + min(room, *d.Spec.Replicas-have)
}

// roll is one step of a rolling update: grow the new set when there is room, else shrink the old ones as far as
// enough pods stay available. The next step comes when the sets' status changes.
func roll(d *appsv1.Deployment, s sets) []resize {
	have := *s.new.Spec.Replicas
	switch {
	case have > *d.Spec.Replicas:
		return []resize{{s.new, *d.Spec.Replicas}}
	case have < *d.Spec.Replicas:
		if to := firstSize(d, s, have); to != have {
			return []resize{{s.new, to}}
		}
	}
	return shrinkOld(d, s)
}

func shrinkOld(d *appsv1.Deployment, s sets) []resize {
	old := active(s.old)
	if len(old) == 0 {
		return nil
	}
	_, unavailable := fences(d)
	minAvailable := *d.Spec.Replicas - unavailable
	newUnavailable := *s.new.Spec.Replicas - s.new.Status.AvailableReplicas
	most := wanted(s.all()) - minAvailable - newUnavailable
	if most <= 0 {
		return nil
	}
	to := map[*appsv1.ReplicaSet]int32{}
	// Pods that serve nobody go first; then ones whose absence leaves enough.
	for _, rs := range old {
		to[rs] = *rs.Spec.Replicas
		n := max(0, min(most, *rs.Spec.Replicas-rs.Status.AvailableReplicas))
		to[rs] -= n
		most -= n
	}
	spare := available(s.all()) - minAvailable
	var out []resize
	for _, rs := range old {
		n := max(0, min(spare, to[rs]))
		to[rs] -= n
		spare -= n
		if to[rs] != *rs.Spec.Replicas {
			out = append(out, resize{rs, to[rs]})
		}
	}
	return out
}

// recreate is one step of a Recreate rollout. Nothing starts while oldPods run.
func recreate(d *appsv1.Deployment, s sets, oldPods bool) (steps []resize, createNew bool) {
	for _, rs := range active(s.old) {
		steps = append(steps, resize{rs, 0})
	}
	switch {
	case len(steps) > 0 || oldPods:
		return steps, false
	case s.new == nil:
		return nil, true
	case *s.new.Spec.Replicas != *d.Spec.Replicas:
		return []resize{{s.new, *d.Spec.Replicas}}, false
	}
	return nil, false
}
