package podspec

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func affinity(p *field.Path, a *corev1.Affinity) field.ErrorList {
	const required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
	if a == nil {
		return nil
	}
	var errs field.ErrorList
	if n, np := a.NodeAffinity, p.Child("nodeAffinity"); n != nil {
		if n.RequiredDuringSchedulingIgnoredDuringExecution != nil {
			errs = append(errs, NodeSelector(np.Child(required), n.RequiredDuringSchedulingIgnoredDuringExecution)...)
		}
		for i, t := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			ip := np.Child(preferred).Index(i)
			errs = append(errs, weight(ip.Child("weight"), t.Weight)...)
			errs = append(errs, selectorTerm(ip.Child("preference"), &t.Preference, false)...)
		}
	}
	pods := func(p *field.Path, must []corev1.PodAffinityTerm, should []corev1.WeightedPodAffinityTerm) {
		for i := range must {
			errs = append(errs, podTerm(p.Child(required).Index(i), &must[i])...)
		}
		for i := range should {
			ip := p.Child(preferred).Index(i)
			errs = append(errs, weight(ip.Child("weight"), should[i].Weight)...)
			errs = append(errs, podTerm(ip.Child("podAffinityTerm"), &should[i].PodAffinityTerm)...)
		}
	}
	if t := a.PodAffinity; t != nil {
		pods(p.Child("podAffinity"), t.RequiredDuringSchedulingIgnoredDuringExecution, t.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if t := a.PodAntiAffinity; t != nil {
		pods(p.Child("podAntiAffinity"), t.RequiredDuringSchedulingIgnoredDuringExecution, t.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	return errs
}

func weight(p *field.Path, w int32) field.ErrorList {
	if w <= 0 || w > 100 {
		return check.One(field.Invalid(p, w, "must be in the range 1-100"))
	}
	return nil
}

// NodeSelector checks terms of which one must match.
func NodeSelector(p *field.Path, s *corev1.NodeSelector) field.ErrorList {
	tp := p.Child("nodeSelectorTerms")
	if len(s.NodeSelectorTerms) == 0 {
		return check.One(field.Required(tp, "must have at least one node selector term"))
	}
	var errs field.ErrorList
	for i := range s.NodeSelectorTerms {
		errs = append(errs, selectorTerm(tp.Index(i), &s.NodeSelectorTerms[i], true)...)
	}
	return errs
}

// selectorTerm checks label values only where a wrong one would keep pods from every node.
func selectorTerm(p *field.Path, t *corev1.NodeSelectorTerm, values bool) field.ErrorList {
	var errs field.ErrorList
	for i := range t.MatchExpressions {
		errs = append(errs, labelRequirement(p.Child("matchExpressions").Index(i), &t.MatchExpressions[i], values)...)
	}
	for i := range t.MatchFields {
		errs = append(errs, fieldRequirement(p.Child("matchFields").Index(i), &t.MatchFields[i])...)
	}
	return errs
}

func labelRequirement(p *field.Path, r *corev1.NodeSelectorRequirement, values bool) field.ErrorList {
	var errs field.ErrorList
	vp := p.Child("values")
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) == 0 {
			errs = append(errs, field.Required(vp, "must be specified when `operator` is 'In' or 'NotIn'"))
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			errs = append(errs, field.Forbidden(vp, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(vp, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
		}
	default:
		errs = append(errs, field.Invalid(p.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	errs = append(errs, check.LabelName(p.Child("key"), r.Key)...)
	for i, v := range r.Values {
		if values {
			errs = append(errs, check.Invalid(vp.Index(i), v, validation.IsValidLabelValue(v))...)
		}
	}
	return errs
}

func fieldRequirement(p *field.Path, r *corev1.NodeSelectorRequirement) field.ErrorList {
	var errs field.ErrorList
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(p.Child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
		}
	default:
		errs = append(errs, field.Invalid(p.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	if r.Key != metav1.ObjectNameField {
		return append(errs, field.Invalid(p.Child("key"), r.Key, "not a valid field selector key"))
	}
	for i, v := range r.Values {
		errs = append(errs, check.DNSSubdomain(p.Child("values").Index(i), v)...)
	}
	return errs
}

func podTerm(p *field.Path, t *corev1.PodAffinityTerm) field.ErrorList {
	errs := check.Join(check.Selector(p.Child("labelSelector"), t.LabelSelector), check.Selector(p.Child("namespaceSelector"), t.NamespaceSelector))
	for _, ns := range t.Namespaces {
		errs = append(errs, check.DNSLabel(p.Child("namespace"), ns)...)
	}
	mismatch := map[string]bool{}
	for _, l := range []struct {
		name string
		keys []string
	}{{"matchLabelKeys", t.MatchLabelKeys}, {"mismatchLabelKeys", t.MismatchLabelKeys}} {
		if len(l.keys) > 0 && t.LabelSelector == nil {
			errs = append(errs, field.Forbidden(p.Child(l.name), "must not be specified when labelSelector is not set"))
			continue
		}
		for i, k := range l.keys {
			errs = append(errs, check.LabelName(p.Child(l.name).Index(i), k)...)
		}
	}
	for _, k := range t.MismatchLabelKeys {
		mismatch[k] = true
	}
	twice := selectedTwice(t.LabelSelector)
	for i, k := range t.MatchLabelKeys {
		if twice[k] {
			errs = append(errs, field.Invalid(p.Index(i), k, "exists in both matchLabelKeys and labelSelector"))
		}
		if mismatch[k] {
			errs = append(errs, field.Invalid(p.Child("matchLabelKeys").Index(i), k, "exists in both matchLabelKeys and mismatchLabelKeys"))
		}
	}
	if t.TopologyKey == "" {
		errs = append(errs, field.Required(p.Child("topologyKey"), "can not be empty"))
	}
	return append(errs, check.LabelName(p.Child("topologyKey"), t.TopologyKey)...)
}

// selectedTwice: matchLabelKeys are merged into the selector before this check, so a key that the
// user selects by as well is there twice.
func selectedTwice(s *metav1.LabelSelector) map[string]bool {
	out := map[string]bool{}
	if s == nil {
		return out
	}
	seen := map[string]bool{}
	for k := range s.MatchLabels {
		seen[k] = true
	}
	for _, e := range s.MatchExpressions {
		if seen[e.Key] {
			out[e.Key] = true
		}
		seen[e.Key] = true
	}
	return out
}
