package podspec

import (
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

const updatable = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`," +
	"`spec.tolerations` (only additions to existing tolerations)," +
	"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

// Update checks that only that of a pod changes which may: see updatable. Of a pod that still has scheduling
// gates the node selection may become narrower as well.
func Update(pod, old *corev1.Pod) field.ErrorList {
	p := field.NewPath("spec")
	s, was := &pod.Spec, &old.Spec
	if len(s.Containers) != len(was.Containers) {
		return check.One(field.Forbidden(p.Child("containers"), "pod updates may not add or remove containers"))
	}
	if len(s.InitContainers) != len(was.InitContainers) {
		return check.One(field.Forbidden(p.Child("initContainers"), "pod updates may not add or remove containers"))
	}
	errs := check.Join(
		mirror(pod, old),
		deadline(p.Child("activeDeadlineSeconds"), s.ActiveDeadlineSeconds, was.ActiveDeadlineSeconds),
		addedTolerations(p.Child("tolerations"), s.Tolerations, was.Tolerations),
		removedGates(p.Child("schedulingGates"), s.SchedulingGates, was.SchedulingGates),
	)
	if equality.Semantic.DeepEqual(s, was) {
		return errs
	}
	// What is left after everything that may change is put back must be equal.
	rest := s.DeepCopy()
	for i := range rest.Containers {
		rest.Containers[i].Image = was.Containers[i].Image
	}
	for i := range rest.InitContainers {
		rest.InitContainers[i].Image = was.InitContainers[i].Image
	}
	rest.ActiveDeadlineSeconds, rest.SchedulingGates, rest.Tolerations = was.ActiveDeadlineSeconds, was.SchedulingGates, was.Tolerations
	if g := was.TerminationGracePeriodSeconds; g != nil && *g < 0 && rest.TerminationGracePeriodSeconds != nil && *rest.TerminationGracePeriodSeconds == 1 {
		rest.TerminationGracePeriodSeconds = g
	}
	if len(was.SchedulingGates) > 0 {
		errs = append(errs, narrower(p, rest, was)...)
	}
	if !equality.Semantic.DeepEqual(rest, was) {
		errs = append(errs, field.Forbidden(p, fmt.Sprintf("pod updates may not change fields other than %s\n%v", updatable, check.Diff(was, rest))))
	}
	return errs
}

func mirror(pod, old *corev1.Pod) field.ErrorList {
	k := corev1.MirrorPodAnnotationKey
	a, aok := pod.Annotations[k]
	b, bok := old.Annotations[k]
	if a == b && aok == bok {
		return nil
	}
	return check.One(field.Invalid(field.NewPath("metadata", "annotations").Key(k), a, "may not be changed or removed"))
}

func deadline(p *field.Path, d, old *int64) field.ErrorList {
	switch {
	case d == nil && old == nil:
	case d == nil:
		return check.One(field.Invalid(p, d, "must not update from a positive integer to nil value"))
	case *d < 0 || *d > math.MaxInt32:
		return check.One(field.Invalid(p, *d, validation.InclusiveRangeError(0, math.MaxInt32)))
	case old != nil && *old < *d:
		return check.One(field.Invalid(p, *d, "must be less than or equal to previous value"))
	}
	return nil
}

func addedTolerations(p *field.Path, now, old []corev1.Toleration) field.ErrorList {
	for _, o := range old {
		if !slices.ContainsFunc(now, func(n corev1.Toleration) bool {
			return n.Key == o.Key && n.Operator == o.Operator && n.Value == o.Value && n.Effect == o.Effect
		}) {
			return check.One(field.Forbidden(p, "existing toleration can not be modified except its tolerationSeconds"))
		}
	}
	return nil
}

func removedGates(p *field.Path, now, old []corev1.PodSchedulingGate) field.ErrorList {
	var errs field.ErrorList
	for i, g := range now {
		if !slices.Contains(old, g) {
			errs = append(errs, field.Forbidden(p.Index(i).Child("name"), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", g.Name)))
		}
	}
	return errs
}

// narrower checks node selectors and required node affinity of a gated pod and puts the old ones back into rest.
func narrower(p *field.Path, rest, was *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	for k, v := range was.NodeSelector {
		if got, ok := rest.NodeSelector[k]; !ok || got != v {
			errs = append(errs, field.Invalid(p.Child("nodeSelector"), rest.NodeSelector, "only additions to spec.nodeSelector are allowed (no deletions or mutations)"))
			break
		}
	}
	rest.NodeSelector = was.NodeSelector
	now, old := nodeAffinity(rest), nodeAffinity(was)
	if equality.Semantic.DeepEqual(now, old) {
		return errs
	}
	errs = append(errs, narrowerTerms(p.Child("affinity", "nodeAffinity"), now, old)...)
	switch {
	case rest.Affinity == nil:
		rest.Affinity = &corev1.Affinity{NodeAffinity: old}
	case was.Affinity == nil && rest.Affinity.PodAffinity == nil && rest.Affinity.PodAntiAffinity == nil:
		rest.Affinity = nil
	default:
		rest.Affinity.NodeAffinity = old
	}
	return errs
}

func nodeAffinity(s *corev1.PodSpec) *corev1.NodeAffinity {
	if s.Affinity == nil {
		return nil
	}
	return s.Affinity.NodeAffinity
}

func narrowerTerms(p *field.Path, now, old *corev1.NodeAffinity) field.ErrorList {
	var was, is []corev1.NodeSelectorTerm
	if old != nil && old.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		was = old.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	if now != nil && now.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		is = now.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	if len(was) == 0 {
		return nil // everything is narrower than nothing
	}
	rp := p.Child("requiredDuringSchedulingIgnoredDuringExecution")
	tp := rp.Child("nodeSelectorTerms")
	if len(is) != len(was) {
		return check.One(field.Invalid(tp, is, "no additions/deletions to non-empty NodeSelectorTerms list are allowed"))
	}
	var errs field.ErrorList
	for i := range is {
		if !prefix(is[i].MatchExpressions, was[i].MatchExpressions) || !prefix(is[i].MatchFields, was[i].MatchFields) {
			errs = append(errs, field.Invalid(tp.Index(i), is[i], "only additions are allowed (no mutations or deletions)"))
		}
	}
	return errs
}

func prefix(now, old []corev1.NodeSelectorRequirement) bool {
	return len(now) >= len(old) && equality.Semantic.DeepEqual(now[:len(old)], old)
}
