package apps

import (
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// DaemonSet of the group apps.
func DaemonSet() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.DaemonSet) *appsv1.DaemonSetSpec { return &o.Spec },
		func(o *appsv1.DaemonSet) *appsv1.DaemonSetStatus { return &o.Status })
	return &api.Kind{
		Kind: "DaemonSet", Resource: "daemonsets",
		ShortNames:    []string{"ds"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[appsv1.DaemonSet, appsv1.DaemonSetList](appsv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(daemonSetDefault),
		PrepareCreate: func(o api.Object) {
			halves.ClearStatus(o)
			setTemplateGeneration(o.(*appsv1.DaemonSet), 1)
		},
		PrepareUpdate: func(obj, old api.Object) {
			halves.KeepStatus(obj, old)
			countTemplate(obj.(*appsv1.DaemonSet), old.(*appsv1.DaemonSet))
		},
		Validate: kit.To(daemonSetValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *appsv1.DaemonSet) field.ErrorList {
			return check.Immutable(field.NewPath("spec", "selector"), o.Spec.Selector, old.Spec.Selector)
		}),
		Warnings:     templateWarnings(func(o *appsv1.DaemonSet) *corev1.PodTemplateSpec { return &o.Spec.Template }),
		Subresources: []api.Subresource{{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(daemonSetValidateStatus)}},
		Columns:      daemonSetColumns(),
		Cells:        kit.Cells(daemonSetCells),
	}
}

func daemonSetDefault(o *appsv1.DaemonSet) {
	s := &o.Spec
	poddefault.Spec(&s.Template.Spec)
	poddefault.SetZero(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		poddefault.Set(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		poddefault.Set(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		poddefault.Set(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	poddefault.Set(&s.RevisionHistoryLimit, 10)
}

// The number of the template that old clients read off this annotation.
func setTemplateGeneration(o *appsv1.DaemonSet, n int64) {
	if o.Annotations == nil {
		o.Annotations = map[string]string{}
	}
	o.Annotations[appsv1.DeprecatedTemplateGeneration] = strconv.FormatInt(n, 10)
}

func countTemplate(o, old *appsv1.DaemonSet) {
	n, err := strconv.ParseInt(old.Annotations[appsv1.DeprecatedTemplateGeneration], 10, 64)
	if err != nil {
		n = 0 // lost; it counts from here
	}
	if n == 0 || !equality.Semantic.DeepEqual(o.Spec.Template, old.Spec.Template) {
		n++
	}
	setTemplateGeneration(o, n)
}

func daemonSetValidate(o *appsv1.DaemonSet) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	return check.Join(
		podspec.Selector(p, s.Selector, "daemonset"),
		podspec.Selected(p, s.Selector, &s.Template),
		podspec.Lasting(p, &s.Template, "DaemonSet"),
		check.NonNegative(p.Child("minReadySeconds"), s.MinReadySeconds),
		daemonSetStrategy(p.Child("updateStrategy"), &s.UpdateStrategy),
		check.OptionalNonNegative(p.Child("revisionHistoryLimit"), s.RevisionHistoryLimit),
	)
}

func daemonSetStrategy(p *field.Path, s *appsv1.DaemonSetUpdateStrategy) field.ErrorList {
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		return nil
	case appsv1.RollingUpdateDaemonSetStrategyType:
	default:
		return check.One(field.NotSupported(p, s.Type, []appsv1.DaemonSetUpdateStrategyType{
			appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType}))
	}
	rp, r := p.Child("rollingUpdate"), s.RollingUpdate
	if r == nil || r.MaxUnavailable == nil || r.MaxSurge == nil {
		return check.One(field.Required(rp, ""))
	}
	up, sp := rp.Child("maxUnavailable"), rp.Child("maxSurge")
	errs := check.Join(
		check.CountOrPercent(up, *r.MaxUnavailable), check.CountOrPercent(sp, *r.MaxSurge),
		check.AtMostHundredPercent(up, *r.MaxUnavailable), check.AtMostHundredPercent(sp, *r.MaxSurge))
	switch unavailable, surge := check.CountOf(*r.MaxUnavailable) != 0, check.CountOf(*r.MaxSurge) != 0; {
	case unavailable && surge:
		errs = append(errs, field.Invalid(sp, *r.MaxSurge, "may not be set when maxUnavailable is non-zero"))
	case !unavailable && !surge:
		errs = append(errs, field.Required(up, "cannot be 0 when maxSurge is 0"))
	}
	return errs
}

func daemonSetValidateStatus(o, old *appsv1.DaemonSet) field.ErrorList {
	s, p := &o.Status, field.NewPath("status")
	return check.Join(
		podspec.Counts(p, -1,
			podspec.Count{Name: "currentNumberScheduled", Value: s.CurrentNumberScheduled}, podspec.Count{Name: "numberMisscheduled", Value: s.NumberMisscheduled},
			podspec.Count{Name: "desiredNumberScheduled", Value: s.DesiredNumberScheduled}, podspec.Count{Name: "numberReady", Value: s.NumberReady},
			podspec.Count{Name: "updatedNumberScheduled", Value: s.UpdatedNumberScheduled}, podspec.Count{Name: "numberAvailable", Value: s.NumberAvailable},
			podspec.Count{Name: "numberUnavailable", Value: s.NumberUnavailable}),
		check.NotDecremented(p.Child("collisionCount"), s.CollisionCount, old.Status.CollisionCount),
	)
}

func daemonSetColumns() []metav1.TableColumnDefinition {
	status := appsv1.DaemonSetStatus{}.SwaggerDoc()
	return append(kit.Columns(
		kit.Int("Desired", status["desiredNumberScheduled"]),
		kit.Int("Current", status["currentNumberScheduled"]),
		kit.Int("Ready", status["numberReady"]),
		kit.Int("Up-to-date", status["updatedNumberScheduled"]),
		kit.Int("Available", status["numberAvailable"]),
		kit.Column("Node Selector", "NodeSelector is a selector which must be true for the pod to fit on a node."),
	), kit.ContainerColumns(appsv1.DaemonSetSpec{}.SwaggerDoc()["selector"])...)
}

func daemonSetCells(o *appsv1.DaemonSet, now time.Time) []any {
	s := &o.Status
	names, images := kit.Images(o.Spec.Template.Spec.Containers)
	return []any{
		o.Name, int64(s.DesiredNumberScheduled), int64(s.CurrentNumberScheduled), int64(s.NumberReady),
		int64(s.UpdatedNumberScheduled), int64(s.NumberAvailable), labels.FormatLabels(o.Spec.Template.Spec.NodeSelector),
		kit.Age(o, now), names, images, metav1.FormatLabelSelector(o.Spec.Selector),
	}
}
