// Package deployment rolls templates out through ReplicaSets.
//
// Plans are pure: rolling.go, proportional.go and status.go look at a
// Deployment and its sets and say what to change; sync.go does it. Read sync.go first.
package deployment

import (
	"cmp"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// sets are a Deployment's ReplicaSets. new, that of the current template, may be nil; old are sorted oldest first.
type sets struct {
	new *appsv1.ReplicaSet
	old []*appsv1.ReplicaSet
}

func (s sets) all() []*appsv1.ReplicaSet {
	if s.new == nil {
		return s.old
	}
	return append(slices.Clone(s.old), s.new)
}

// sortSets finds the set of d's template: of several the oldest.
func sortSets(d *appsv1.Deployment, all []*appsv1.ReplicaSet) sets {
	all = slices.Clone(all)
	slices.SortFunc(all, older)
	var s sets
	for _, rs := range all {
		if s.new == nil && sameTemplate(&rs.Spec.Template, &d.Spec.Template) {
			s.new = rs
			continue
		}
		s.old = append(s.old, rs)
	}
	return s
}

func older(a, b *appsv1.ReplicaSet) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// sameTemplate compares without the label that the controller adds.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	delete(a.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(b.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return equality.Semantic.DeepEqual(a, b)
}

func rolling(d *appsv1.Deployment) bool {
	return d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType
}

// fences are how many pods may be above and below the wanted number during a rollout.
func fences(d *appsv1.Deployment) (surge, unavailable int32) {
	if !rolling(d) {
		return 0, 0
	}
	want := int(*d.Spec.Replicas)
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		surge, unavailable = scaled(r.MaxSurge, want, true), scaled(r.MaxUnavailable, want, false)
	}
	if surge == 0 && unavailable == 0 {
		unavailable = 1 // rounding must not stop the rollout
	}
	return surge, min(unavailable, *d.Spec.Replicas)
}

func scaled(v *intstr.IntOrString, total int, up bool) int32 {
	if v == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, total, up)
	if err != nil {
		return 0
	}
	return int32(n)
}

func wanted(all []*appsv1.ReplicaSet) (n int32) {
	for _, rs := range all {
		n += *rs.Spec.Replicas
	}
	return n
}

func available(all []*appsv1.ReplicaSet) (n int32) {
	for _, rs := range all {
		n += rs.Status.AvailableReplicas
	}
	return n
}

func active(all []*appsv1.ReplicaSet) (out []*appsv1.ReplicaSet) {
	for _, rs := range all {
		if *rs.Spec.Replicas > 0 {
			out = append(out, rs)
		}
	}
	return out
}

// resize is one ReplicaSet's new number of replicas.
type resize struct {
	rs *appsv1.ReplicaSet
	to int32
}

// complete is whether everything wanted is there, new and available.
func complete(d *appsv1.Deployment, s *appsv1.DeploymentStatus) bool {
	n := *d.Spec.Replicas
	return s.UpdatedReplicas == n && s.Replicas == n && s.AvailableReplicas == n && s.ObservedGeneration >= d.Generation
}

// cleanup picks the empty sets beyond the history limit, lowest revision first.
func cleanup(d *appsv1.Deployment, old []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	if d.Spec.RevisionHistoryLimit == nil || *d.Spec.RevisionHistoryLimit == math.MaxInt32 {
		return nil
	}
	alive := slices.DeleteFunc(slices.Clone(old), func(rs *appsv1.ReplicaSet) bool { return rs.DeletionTimestamp != nil })
	excess := len(alive) - int(*d.Spec.RevisionHistoryLimit)
	if excess <= 0 {
		return nil
	}
	slices.SortStableFunc(alive, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revision(a), revision(b)) })
	return slices.DeleteFunc(alive[:excess], func(rs *appsv1.ReplicaSet) bool {
		return rs.Status.Replicas != 0 || *rs.Spec.Replicas != 0 || rs.Generation > rs.Status.ObservedGeneration
	})
}
