package autoscaling

import (
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func hpaValidate(o *autoscalingv2.HorizontalPodAutoscaler) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if m := s.MinReplicas; m != nil && *m < 1 {
		errs = append(errs, field.Invalid(p.Child("minReplicas"), *m, "must be greater than or equal to 1"))
	}
	if s.MaxReplicas < 1 {
		errs = append(errs, field.Invalid(p.Child("maxReplicas"), s.MaxReplicas, "must be greater than 0"))
	}
	if m := s.MinReplicas; m != nil && s.MaxReplicas < *m {
		errs = append(errs, field.Invalid(p.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	errs = append(errs, reference(p.Child("scaleTargetRef"), s.ScaleTargetRef)...)
	for i := range s.Metrics {
		errs = append(errs, metric(p.Child("metrics").Index(i), &s.Metrics[i])...)
	}
	if b := s.Behavior; b != nil {
		errs = append(errs, rules(p.Child("behavior", "scaleUp"), b.ScaleUp)...)
		errs = append(errs, rules(p.Child("behavior", "scaleDown"), b.ScaleDown)...)
	}
	return errs
}

func reference(p *field.Path, r autoscalingv2.CrossVersionObjectReference) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct{ name, value string }{{"kind", r.Kind}, {"name", r.Name}} {
		if f.value == "" {
			errs = append(errs, field.Required(p.Child(f.name), ""))
		} else {
			errs = append(errs, check.Invalid(p.Child(f.name), f.value, path.IsValidPathSegmentName(f.value))...)
		}
	}
	return errs
}

// metric checks one metric: its source is the one its type names.
func metric(p *field.Path, m *autoscalingv2.MetricSpec) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, check.OneOf(p.Child("type"), m.Type, autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType,
		autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType)...)
	for _, s := range []struct {
		t    autoscalingv2.MetricSourceType
		name string
		set  bool
	}{
		{autoscalingv2.ObjectMetricSourceType, "object", m.Object != nil}, {autoscalingv2.PodsMetricSourceType, "pods", m.Pods != nil},
		{autoscalingv2.ResourceMetricSourceType, "resource", m.Resource != nil}, {autoscalingv2.ExternalMetricSourceType, "external", m.External != nil},
		{autoscalingv2.ContainerResourceMetricSourceType, "containerResource", m.ContainerResource != nil},
	} {
		switch {
		case s.t == m.Type && !s.set:
			errs = append(errs, field.Required(p.Child(s.name), "must populate information for the given metric source"))
		case s.t != m.Type && s.set:
			errs = append(errs, field.Forbidden(p.Child(s.name), "must populate the given metric source only"))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	switch {
	case m.Object != nil:
		op := p.Child("object")
		errs = append(errs, reference(op.Child("describedObject"), m.Object.DescribedObject)...)
		errs = append(errs, identifier(op.Child("metric"), &m.Object.Metric)...)
		errs = append(errs, target(op.Child("target"), &m.Object.Target, false)...)
	case m.Pods != nil:
		errs = append(errs, identifier(p.Child("pods", "metric"), &m.Pods.Metric)...)
		errs = append(errs, averages(p.Child("pods", "target"), &m.Pods.Target, false)...)
	case m.External != nil:
		errs = append(errs, identifier(p.Child("external", "metric"), &m.External.Metric)...)
		errs = append(errs, target(p.Child("external", "target"), &m.External.Target, true)...)
	case m.Resource != nil:
		errs = append(errs, check.Present(p.Child("resource", "name"), string(m.Resource.Name))...)
		errs = append(errs, averages(p.Child("resource", "target"), &m.Resource.Target, true)...)
	case m.ContainerResource != nil:
		cp := p.Child("containerResource")
		errs = append(errs, check.Join(check.Present(cp.Child("name"), string(m.ContainerResource.Name)), check.Present(cp.Child("container"), m.ContainerResource.Container))...)
		errs = append(errs, averages(cp.Child("target"), &m.ContainerResource.Target, true)...)
	}
	return errs
}

func identifier(p *field.Path, m *autoscalingv2.MetricIdentifier) field.ErrorList {
	if m.Name == "" {
		return check.One(field.Required(p.Child("name"), ""))
	}
	return check.Invalid(p.Child("name"), m.Name, path.IsValidPathSegmentName(m.Name))
}

// values checks what is set of a target.
func values(p *field.Path, t *autoscalingv2.MetricTarget) field.ErrorList {
	errs := check.OneOf(p.Child("type"), t.Type, autoscalingv2.AverageValueMetricType, autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType)
	if v := t.Value; v != nil && v.Sign() != 1 {
		errs = append(errs, field.Invalid(p.Child("value"), v, "must be positive"))
	}
	if v := t.AverageValue; v != nil && v.Sign() != 1 {
		errs = append(errs, field.Invalid(p.Child("averageValue"), v, "must be positive"))
	}
	if v := t.AverageUtilization; v != nil && *v < 1 {
		errs = append(errs, field.Invalid(p.Child("averageUtilization"), *v, "must be greater than 0"))
	}
	return errs
}

func target(p *field.Path, t *autoscalingv2.MetricTarget, exclusive bool) field.ErrorList {
	errs := values(p, t)
	switch {
	case t.Value == nil && t.AverageValue == nil:
		errs = append(errs, field.Required(p.Child("averageValue"), "must set either a target value for metric or a per-pod target"))
	case exclusive && t.Value != nil && t.AverageValue != nil:
		errs = append(errs, field.Forbidden(p.Child("value"), "may not set both a target value for metric and a per-pod target"))
	}
	return errs
}

// averages checks a target per pod.
func averages(p *field.Path, t *autoscalingv2.MetricTarget, utilization bool) field.ErrorList {
	errs := values(p, t)
	switch {
	case !utilization && (t.AverageValue == nil || t.AverageValue.Sign() != 1):
		errs = append(errs, field.Required(p.Child("averageValue"), "must specify a positive target averageValue"))
	case utilization && t.AverageUtilization == nil && t.AverageValue == nil:
		errs = append(errs, field.Required(p.Child("averageUtilization"), "must set either a target raw value or a target utilization"))
	case utilization && t.AverageUtilization != nil && t.AverageValue != nil:
		errs = append(errs, field.Forbidden(p.Child("averageValue"), "may not set both a target raw value and a target utilization"))
	}
	return errs
}

func rules(p *field.Path, r *autoscalingv2.HPAScalingRules) field.ErrorList {
	if r == nil {
		return nil
	}
	const longestPeriod, longestWindow = 1800, 3600
	var errs field.ErrorList
	if w := r.StabilizationWindowSeconds; w != nil && *w < 0 {
		errs = append(errs, field.Invalid(p.Child("stabilizationWindowSeconds"), *w, "must be greater than or equal to zero"))
	} else if w != nil && *w > longestWindow {
		errs = append(errs, field.Invalid(p.Child("stabilizationWindowSeconds"), *w, fmt.Sprintf("must be less than or equal to %v", longestWindow)))
	}
	errs = append(errs, check.OptionalOf(p.Child("selectPolicy"), r.SelectPolicy, autoscalingv2.DisabledPolicySelect, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect)...)
	pp := p.Child("policies")
	if len(r.Policies) == 0 {
		errs = append(errs, field.Required(pp, "must specify at least one Policy"))
	}
	for i, s := range r.Policies {
		ip := pp.Index(i)
		errs = append(errs, check.Supported(ip.Child("type"), s.Type, autoscalingv2.PercentScalingPolicy, autoscalingv2.PodsScalingPolicy)...)
		if s.Value <= 0 {
			errs = append(errs, field.Invalid(ip.Child("value"), s.Value, check.NotPositive))
		}
		if s.PeriodSeconds <= 0 {
			errs = append(errs, field.Invalid(ip.Child("periodSeconds"), s.PeriodSeconds, check.NotPositive))
		}
		if s.PeriodSeconds > longestPeriod {
			errs = append(errs, field.Invalid(ip.Child("periodSeconds"), s.PeriodSeconds, fmt.Sprintf("must be less than or equal to %v", longestPeriod)))
		}
	}
	if t := r.Tolerance; t != nil {
		errs = append(errs, check.NonNegativeQuantity(p.Child("tolerance"), *t)...)
	}
	return errs
}
