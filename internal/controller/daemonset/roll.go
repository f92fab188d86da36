package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// limits are how many nodes may have two pods, and how many none, during an update. One of them is not zero.
func (s *state) limits() (surge, unavailable int) {
	r := s.ds.Spec.UpdateStrategy.RollingUpdate
	if s.ds.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || r == nil {
		return 0, 1
	}
	scaled := func(n *intstr.IntOrString) int {
		if n == nil {
			return 0
		}
		of, err := intstr.GetScaledValueFromIntOrPercent(n, s.desired(), true)
		if err != nil {
			return 0
		}
		return of
	}
	surge, unavailable = scaled(r.MaxSurge), scaled(r.MaxUnavailable)
	if surge == 0 {
		unavailable = max(unavailable, 1)
	}
	return surge, unavailable
}

// roll replaces pods of former templates.
func (s *state) roll() {
	if s.ds.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return
	}
	if surge, unavailable := s.limits(); surge > 0 {
		s.surge(surge)
	} else {
		s.replace(unavailable)
	}
}

// split is the pods of a place by template; false: there are several of one, which manage sorts out.
func (s *state) split(at *place) (fresh, former *corev1.Pod, ok bool) {
	for _, p := range at.pods {
		switch {
		case p.DeletionTimestamp != nil:
		case s.updated(p):
			if fresh != nil {
				return nil, nil, false
			}
			fresh = p
		default:
			if former != nil {
				return nil, nil, false
			}
			former = p
		}
	}
	return fresh, former, true
}

// replace deletes former pods: those that are not available at once, others as far as the limit allows.
func (s *state) replace(limit int) {
	var candidates []*corev1.Pod
	for i := range s.places {
		at := &s.places[i]
		if len(at.pods) == 0 {
			continue
		}
		fresh, former, ok := s.split(at)
		switch {
		case !ok, (fresh == nil) == (former == nil):
			limit--
		case fresh != nil:
			if !s.available(fresh) {
				limit--
			}
		case !s.available(former):
			s.delete = append(s.delete, former)
			limit--
		default:
			candidates = append(candidates, former)
		}
	}
	s.delete = append(s.delete, candidates[:max(0, min(limit, len(candidates)))]...)
}

// surge starts pods beside former ones, which go once those are available.
func (s *state) surge(limit int) {
	var candidates []string
	var misplaced []*corev1.Pod
	spare := -s.desired()
	for i := range s.places {
		at := &s.places[i]
		fresh, former, ok := s.split(at)
		if !ok {
			limit--
			continue
		}
		if first := either(former, fresh); first != nil && s.available(first) {
			spare++
		}
		switch {
		case former == nil:
		case fresh != nil && s.available(fresh):
			s.delete = append(s.delete, former)
		case fresh != nil:
			limit--
		case !at.start && s.available(former):
			misplaced = append(misplaced, former)
		case !at.start:
			s.delete = append(s.delete, former)
		case !s.available(former):
			s.create = append(s.create, at.node)
		default:
			candidates = append(candidates, at.node)
		}
	}
	s.create = append(s.create, candidates[:max(0, min(limit, len(candidates)))]...)
	// Where a pod may stay but would not be started, it goes when enough others are available.
	s.delete = append(s.delete, misplaced[:max(0, min(spare, len(misplaced)))]...)
}

func either(a, b *corev1.Pod) *corev1.Pod {
	if a != nil {
		return a
	}
	return b
}
