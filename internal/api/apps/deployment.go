package apps

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// Deployment of the group apps.
func Deployment() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.Deployment) *appsv1.DeploymentSpec { return &o.Spec },
		func(o *appsv1.Deployment) *appsv1.DeploymentStatus { return &o.Status })
	return &api.Kind{
		Kind: "Deployment", Resource: "deployments",
		ShortNames:     []string{"deploy"},
		Categories:     []string{"all"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[appsv1.Deployment, appsv1.DeploymentList](appsv1.SchemeGroupVersion)},
		HasGeneration:  true,
		Default:        kit.On(deploymentDefault),
		PrepareCreate:  halves.ClearStatus,
		PrepareUpdate:  halves.KeepStatus,
		Validate:       kit.To(deploymentValidate),
		ValidateUpdate: kit.ToBoth(deploymentValidateUpdate),
		Warnings:       templateWarnings(func(o *appsv1.Deployment) *corev1.PodTemplateSpec { return &o.Spec.Template }),
		Subresources: []api.Subresource{
			{
				Name: "status", Verbs: kit.ReadWrite,
				Prepare: func(obj, old api.Object) {
					halves.KeepSpec(obj, old)
					obj.SetLabels(old.GetLabels())
				},
				Validate: kit.ToBoth(deploymentValidateStatus),
			},
			kit.ScaleSub(
				func(o *appsv1.Deployment) **int32 { return &o.Spec.Replicas },
				func(o *appsv1.Deployment) (int32, *metav1.LabelSelector) { return o.Status.Replicas, o.Spec.Selector }),
		},
		Columns: append(kit.Columns(
			kit.Column("Ready", "Number of the pod with ready state"),
			kit.Column("Up-to-date", appsv1.DeploymentStatus{}.SwaggerDoc()["updatedReplicas"]),
			kit.Column("Available", appsv1.DeploymentStatus{}.SwaggerDoc()["availableReplicas"]),
		), kit.ContainerColumns(appsv1.DeploymentSpec{}.SwaggerDoc()["selector"])...),
		Cells: kit.Cells(deploymentCells),
	}
}

func deploymentDefault(d *appsv1.Deployment) {
	s := &d.Spec
	poddefault.Spec(&s.Template.Spec)
	poddefault.Set(&s.Replicas, 1)
	poddefault.SetZero(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		poddefault.Set(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		poddefault.Set(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		poddefault.Set(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	poddefault.Set(&s.RevisionHistoryLimit, 10)
	poddefault.Set(&s.ProgressDeadlineSeconds, 600)
}

func deploymentValidate(d *appsv1.Deployment) field.ErrorList {
	s, p := &d.Spec, field.NewPath("spec")
	errs := check.Join(
		check.OptionalNonNegative(p.Child("replicas"), s.Replicas),
		podspec.Selector(p, s.Selector, "deployment"),
		podspec.Selected(p, s.Selector, &s.Template),
		podspec.Lasting(p, &s.Template, "ReplicaSet"), // as upstream, which checks what the deployment makes
		deploymentStrategy(p.Child("strategy"), &s.Strategy),
		check.NonNegative(p.Child("minReadySeconds"), s.MinReadySeconds),
		check.OptionalNonNegative(p.Child("revisionHistoryLimit"), s.RevisionHistoryLimit),
		check.OptionalNonNegative(p.Child("progressDeadlineSeconds"), s.ProgressDeadlineSeconds),
	)
	if d := s.ProgressDeadlineSeconds; d != nil && *d <= s.MinReadySeconds {
		errs = append(errs, field.Invalid(p.Child("progressDeadlineSeconds"), *d, "must be greater than minReadySeconds"))
	}
	return errs
}

func deploymentStrategy(p *field.Path, s *appsv1.DeploymentStrategy) field.ErrorList {
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return check.One(field.Forbidden(p.Child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'"))
		}
		return nil
	case appsv1.RollingUpdateDeploymentStrategyType:
	default:
		return check.One(field.NotSupported(p, s.Type, []appsv1.DeploymentStrategyType{
			appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType}))
	}
	rp := p.Child("rollingUpdate")
	r := s.RollingUpdate
	if r == nil || r.MaxUnavailable == nil || r.MaxSurge == nil {
		return check.One(field.Required(rp, "this should be defaulted and never be nil"))
	}
	errs := check.Join(check.CountOrPercent(rp.Child("maxUnavailable"), *r.MaxUnavailable), check.CountOrPercent(rp.Child("maxSurge"), *r.MaxSurge))
	if check.CountOf(*r.MaxUnavailable) == 0 && check.CountOf(*r.MaxSurge) == 0 {
		errs = append(errs, field.Invalid(rp.Child("maxUnavailable"), *r.MaxUnavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, check.AtMostHundredPercent(rp.Child("maxUnavailable"), *r.MaxUnavailable)...)
}

func deploymentValidateUpdate(d, old *appsv1.Deployment) field.ErrorList {
	return check.Immutable(field.NewPath("spec", "selector"), d.Spec.Selector, old.Spec.Selector)
}

func deploymentValidateStatus(d, old *appsv1.Deployment) field.ErrorList {
	s, p := &d.Status, field.NewPath("status")
	return check.Join(
		podspec.Counts(p, -1, podspec.Count{Name: "replicas", Value: s.Replicas}, podspec.Count{Name: "unavailableReplicas", Value: s.UnavailableReplicas}),
		podspec.Counts(p, s.Replicas, podspec.Count{Name: "updatedReplicas", Value: s.UpdatedReplicas},
			podspec.Count{Name: "readyReplicas", Value: s.ReadyReplicas}, podspec.Count{Name: "availableReplicas", Value: s.AvailableReplicas}),
		check.AtMost(p.Child("availableReplicas"), s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than readyReplicas"),
		check.NotDecremented(p.Child("collisionCount"), s.CollisionCount, old.Status.CollisionCount),
	)
}

func deploymentCells(d *appsv1.Deployment, now time.Time) []any {
	names, images := kit.Images(d.Spec.Template.Spec.Containers)
	selector := "<invalid>"
	if s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil {
		selector = s.String()
	}
	return []any{
		d.Name, fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, kit.Deref(d.Spec.Replicas, 0)),
		int64(d.Status.UpdatedReplicas), int64(d.Status.AvailableReplicas), kit.Age(d, now), names, images, selector,
	}
}
