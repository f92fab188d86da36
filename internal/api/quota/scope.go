package quota

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// InScope reports whether all scopes of a quota match o. A quota with scopes is for pods only, or for claims by their
// volume attributes class.
func InScope(q *corev1.ResourceQuota, o api.Object) bool {
	for _, t := range terms(q) {
		switch o := o.(type) {
		case *corev1.Pod:
			if !podInScope(o, t) {
				return false
			}
		case *corev1.PersistentVolumeClaim:
			if t.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass || !slices.ContainsFunc(attributes(o), func(class string) bool { return selects(t, class) }) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func terms(q *corev1.ResourceQuota) []corev1.ScopedResourceSelectorRequirement {
	var out []corev1.ScopedResourceSelectorRequirement
	for _, s := range q.Spec.Scopes {
		out = append(out, corev1.ScopedResourceSelectorRequirement{ScopeName: s, Operator: corev1.ScopeSelectorOpExists})
	}
	if q.Spec.ScopeSelector != nil {
		out = append(out, q.Spec.ScopeSelector.MatchExpressions...)
	}
	return out
}

func podInScope(p *corev1.Pod, t corev1.ScopedResourceSelectorRequirement) bool {
	terminating := p.Spec.ActiveDeadlineSeconds != nil && *p.Spec.ActiveDeadlineSeconds >= 0
	switch t.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return terminating
	case corev1.ResourceQuotaScopeNotTerminating:
		return !terminating
	case corev1.ResourceQuotaScopeBestEffort:
		return podspec.QOS(p) == corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return podspec.QOS(p) != corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossNamespace(p.Spec.Affinity)
	case corev1.ResourceQuotaScopePriorityClass:
		return selects(t, p.Spec.PriorityClassName)
	}
	return false
}

// attributes are the volume attributes classes that a claim has, wants, or is getting; one empty name for none.
func attributes(c *corev1.PersistentVolumeClaim) []string {
	var out []string
	for _, s := range []*string{c.Spec.VolumeAttributesClassName, c.Status.CurrentVolumeAttributesClassName} {
		if s != nil && *s != "" {
			out = append(out, *s)
		}
	}
	if m := c.Status.ModifyVolumeStatus; m != nil && m.TargetVolumeAttributesClassName != "" {
		out = append(out, m.TargetVolumeAttributesClassName)
	}
	if len(out) == 0 {
		out = append(out, "")
	}
	return out
}

// selects is whether a term matches a class; empty is none.
func selects(t corev1.ScopedResourceSelectorRequirement, class string) bool {
	switch t.Operator {
	case corev1.ScopeSelectorOpIn:
		return slices.Contains(t.Values, class)
	case corev1.ScopeSelectorOpNotIn:
		return !slices.Contains(t.Values, class)
	case corev1.ScopeSelectorOpDoesNotExist:
		return class == ""
	}
	return class != ""
}

func crossNamespace(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	if a.PodAffinity != nil {
		terms = append(terms, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		for _, w := range a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			terms = append(terms, w.PodAffinityTerm)
		}
	}
	if a.PodAntiAffinity != nil {
		terms = append(terms, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		for _, w := range a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			terms = append(terms, w.PodAffinityTerm)
		}
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}
