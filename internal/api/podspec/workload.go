package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// Selector checks the selector of a workload; p is the spec's path, kind is lower-case.
func Selector(p *field.Path, s *metav1.LabelSelector, kind string) field.ErrorList {
	p = p.Child("selector")
	if s == nil {
		return check.One(field.Required(p, ""))
	}
	errs := check.Selector(p, s)
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(p, s, "empty selector is invalid for "+kind))
	}
	return errs
}

// Selected checks that a selector selects what the template makes; p is the spec's path.
func Selected(p *field.Path, s *metav1.LabelSelector, t *corev1.PodTemplateSpec) field.ErrorList {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return check.One(field.Invalid(p.Child("selector"), s, "invalid label selector"))
	}
	if !selector.Empty() && !selector.Matches(labels.Set(t.Labels)) {
		return check.One(field.Invalid(p.Child("template", "metadata", "labels"), t.Labels, "`selector` does not match template `labels`"))
	}
	return nil
}

// Lasting checks a template of pods that are kept running; p is the spec's path.
func Lasting(p *field.Path, t *corev1.PodTemplateSpec, kind string) field.ErrorList {
	errs := Template(p.Child("template"), t)
	sp := p.Child("template", "spec")
	if t.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(sp.Child("restartPolicy"), t.Spec.RestartPolicy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if t.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(sp.Child("activeDeadlineSeconds"), fmt.Sprintf("activeDeadlineSeconds in %s is not Supported", kind)))
	}
	return errs
}

// Count is a number in a status and its name.
type Count struct {
	Name  string
	Value int32
}

// Counts checks numbers of a status: none is negative, and none is above total when total ≥ 0.
func Counts(p *field.Path, total int32, counts ...Count) field.ErrorList {
	var errs field.ErrorList
	for _, c := range counts {
		errs = append(errs, check.NonNegative(p.Child(c.Name), c.Value)...)
		if total >= 0 && c.Value > total {
			errs = append(errs, field.Invalid(p.Child(c.Name), c.Value, "cannot be greater than status.replicas"))
		}
	}
	return errs
}
