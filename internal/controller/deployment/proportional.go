package deployment

import (
	"cmp"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
)

// scaleAll follows a change of spec.replicas. In the middle of a rollout all sets grow or shrink in proportion.
func scaleAll(d *appsv1.Deployment, s sets) []resize {
	if rs := activeOrLatest(s); rs != nil {
		if *rs.Spec.Replicas == *d.Spec.Replicas {
			return nil
		}
		return []resize{{rs, *d.Spec.Replicas}}
	}
	if saturated(d, s.new) {
		var out []resize
		for _, rs := range active(s.old) {
			out = append(out, resize{rs, 0})
		}
		return out
	}
	if !rolling(d) {
		return nil
	}
	return proportional(d, active(s.all()))
}

// activeOrLatest is the one set with replicas, the newest if none has any, nil if several have.
func activeOrLatest(s sets) *appsv1.ReplicaSet {
	switch a := active(s.all()); {
	case len(a) == 1:
		return a[0]
	case len(a) > 1:
		return nil
	case s.new != nil:
		return s.new
	case len(s.old) > 0:
		return s.old[len(s.old)-1]
	}
	return nil
}

func saturated(d *appsv1.Deployment, rs *appsv1.ReplicaSet) bool {
	if rs == nil {
		return false
	}
	n, ok := number(rs, desiredAnnotation)
	want := *d.Spec.Replicas
	return ok && n == want && *rs.Spec.Replicas == want && rs.Status.AvailableReplicas == want
}

func proportional(d *appsv1.Deployment, all []*appsv1.ReplicaSet) []resize {
	surge, _ := fences(d)
	allowed := int32(0)
	if *d.Spec.Replicas > 0 {
		allowed = *d.Spec.Replicas + surge
	}
	add := allowed - wanted(all)
	// The biggest first; of equals, the newest grows and the oldest shrinks first.
	slices.SortStableFunc(all, func(a, b *appsv1.ReplicaSet) int {
		age := older(a, b)
		if add > 0 {
			age = -age
		}
		return cmp.Or(cmp.Compare(*b.Spec.Replicas, *a.Spec.Replicas), age)
	})
	out := make([]resize, len(all))
	added := int32(0)
	for i, rs := range all {
		n := share(d, rs, add, added, surge)
		added += n
		out[i] = resize{rs, *rs.Spec.Replicas + n}
	}
	if len(out) > 0 && add != 0 {
		out[0].to = max(0, out[0].to+add-added) // what rounding left over
	}
	return out
}

// share is rs' part of add, of which added are given out already.
func share(d *appsv1.Deployment, rs *appsv1.ReplicaSet, add, added, surge int32) int32 {
	if *rs.Spec.Replicas == 0 || add == added {
		return 0
	}
	part := -*rs.Spec.Replicas
	if *d.Spec.Replicas > 0 {
		most, ok := number(rs, maxAnnotation)
		if !ok || most <= 0 {
			most = d.Status.Replicas
		}
		if most <= 0 {
			return 0
		}
		size := float64(*rs.Spec.Replicas*(*d.Spec.Replicas+surge)) / float64(most)
		part = int32(math.Round(size)) - *rs.Spec.Replicas
	}
	if add > 0 {
		return min(part, add-added)
	}
	return max(part, add-added)
}
