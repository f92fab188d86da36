package apps

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// StatefulSet of the group apps.
func StatefulSet() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.StatefulSet) *appsv1.StatefulSetSpec { return &o.Spec },
		func(o *appsv1.StatefulSet) *appsv1.StatefulSetStatus { return &o.Status })
	return &api.Kind{
		Kind: "StatefulSet", Resource: "statefulsets",
		ShortNames:     []string{"sts"},
		Categories:     []string{"all"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[appsv1.StatefulSet, appsv1.StatefulSetList](appsv1.SchemeGroupVersion)},
		HasGeneration:  true,
		Default:        kit.On(statefulSetDefault),
		PrepareCreate:  halves.ClearStatus,
		PrepareUpdate:  halves.KeepStatus,
		Validate:       kit.To(statefulSetValidate),
		ValidateUpdate: kit.ToBoth(statefulSetValidateUpdate),
		ValidateName:   apivalidation.NameIsDNSLabel, // it is part of its pods' host names
		Warnings:       templateWarnings(func(o *appsv1.StatefulSet) *corev1.PodTemplateSpec { return &o.Spec.Template }),
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(statefulSetValidateStatus)},
			kit.ScaleSub(
				func(o *appsv1.StatefulSet) **int32 { return &o.Spec.Replicas },
				func(o *appsv1.StatefulSet) (int32, *metav1.LabelSelector) { return o.Status.Replicas, o.Spec.Selector }),
		},
		Columns: append(kit.Columns(kit.Column("Ready", "Number of the pod with ready state")), kit.ContainerColumns("")...),
		Cells: kit.Cells(func(o *appsv1.StatefulSet, now time.Time) []any {
			names, images := kit.Images(o.Spec.Template.Spec.Containers)
			return []any{o.Name, fmt.Sprintf("%d/%d", o.Status.ReadyReplicas, kit.Deref(o.Spec.Replicas, 0)), kit.Age(o, now), names, images}
		}),
	}
}

func statefulSetDefault(o *appsv1.StatefulSet) {
	s := &o.Spec
	poddefault.Spec(&s.Template.Spec)
	poddefault.SetZero(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	poddefault.SetZero(&s.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		poddefault.Set(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		poddefault.Set(&s.UpdateStrategy.RollingUpdate.Partition, 0)
	}
	poddefault.Set(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	poddefault.SetZero(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	poddefault.SetZero(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	poddefault.Set(&s.Replicas, 1)
	poddefault.Set(&s.RevisionHistoryLimit, 10)
	for i := range s.VolumeClaimTemplates {
		c := &s.VolumeClaimTemplates[i]
		poddefault.SetZero(&c.APIVersion, "v1")
		poddefault.SetZero(&c.Kind, "PersistentVolumeClaim")
		poddefault.Claim(&c.Spec)
		poddefault.SetZero(&c.Status.Phase, corev1.ClaimPending)
	}
}

func statefulSetValidate(o *appsv1.StatefulSet) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	var errs field.ErrorList
	switch s.PodManagementPolicy {
	case "":
		errs = append(errs, field.Required(p.Child("podManagementPolicy"), ""))
	case appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement:
	default:
		errs = append(errs, field.Invalid(p.Child("podManagementPolicy"), s.PodManagementPolicy,
			fmt.Sprintf("must be '%s' or '%s'", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)))
	}
	errs = append(errs, statefulSetStrategy(p.Child("updateStrategy"), &s.UpdateStrategy)...)
	if r := s.PersistentVolumeClaimRetentionPolicy; r != nil {
		rp := p.Child("persistentVolumeClaimRetentionPolicy")
		keep, del := appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType
		errs = append(errs, check.Supported(rp.Child("whenDeleted"), r.WhenDeleted, keep, del)...)
		errs = append(errs, check.Supported(rp.Child("whenScaled"), r.WhenScaled, keep, del)...)
	}
	if s.Ordinals != nil {
		errs = append(errs, check.NonNegative(p.Child("ordinals.start"), s.Ordinals.Start)...)
	}
	return append(errs, check.Join(
		check.OptionalNonNegative(p.Child("replicas"), s.Replicas),
		check.NonNegative(p.Child("minReadySeconds"), s.MinReadySeconds),
		check.OptionalNonNegative(p.Child("revisionHistoryLimit"), s.RevisionHistoryLimit),
		podspec.Selector(p, s.Selector, "statefulset"),
		podspec.Selected(p, s.Selector, &s.Template),
		podspec.Lasting(p, withClaims(s), "StatefulSet"),
	)...)
}

// withClaims is the template as its pods get it: each claim is a volume of the same name.
func withClaims(s *appsv1.StatefulSetSpec) *corev1.PodTemplateSpec {
	if len(s.VolumeClaimTemplates) == 0 {
		return &s.Template
	}
	claimed := map[string]bool{}
	t := s.Template
	t.Spec.Volumes = nil
	for i := range s.VolumeClaimTemplates {
		name := s.VolumeClaimTemplates[i].Name
		claimed[name] = true
		t.Spec.Volumes = append(t.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}})
	}
	for _, v := range s.Template.Spec.Volumes {
		if !claimed[v.Name] {
			t.Spec.Volumes = append(t.Spec.Volumes, v)
		}
	}
	return &t
}

func statefulSetStrategy(p *field.Path, s *appsv1.StatefulSetUpdateStrategy) field.ErrorList {
	rp, r := p.Child("rollingUpdate"), s.RollingUpdate
	switch s.Type {
	case "":
		return check.One(field.Required(p, ""))
	case appsv1.OnDeleteStatefulSetStrategyType:
		if r != nil {
			return check.One(field.Invalid(rp, r, fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType)))
		}
		return nil
	case appsv1.RollingUpdateStatefulSetStrategyType:
	default:
		return check.One(field.Invalid(p, s, fmt.Sprintf("must be '%s' or '%s'", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)))
	}
	if r == nil {
		return nil
	}
	errs := check.OptionalNonNegative(rp.Child("partition"), r.Partition)
	if m := r.MaxUnavailable; m != nil {
		mp := rp.Child("maxUnavailable")
		errs = append(errs, check.CountOrPercent(mp, *m)...)
		if check.CountOf(*m) == 0 {
			errs = append(errs, field.Invalid(mp, *m, "cannot be 0"))
		}
		errs = append(errs, check.AtMostHundredPercent(mp, *m)...)
	}
	return errs
}

func statefulSetValidateUpdate(o, old *appsv1.StatefulSet) field.ErrorList {
	rest, was := o.Spec, &old.Spec
	rest.Replicas, rest.Template, rest.UpdateStrategy, rest.MinReadySeconds = was.Replicas, was.Template, was.UpdateStrategy, was.MinReadySeconds
	rest.Ordinals, rest.RevisionHistoryLimit = was.Ordinals, was.RevisionHistoryLimit
	rest.PersistentVolumeClaimRetentionPolicy = was.PersistentVolumeClaimRetentionPolicy
	if equality.Semantic.DeepEqual(&rest, was) {
		return nil
	}
	return check.One(field.Forbidden(field.NewPath("spec"), "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "+
		"'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"))
}

func statefulSetValidateStatus(o, old *appsv1.StatefulSet) field.ErrorList {
	s, p := &o.Status, field.NewPath("status")
	return check.Join(
		check.NonNegative(p.Child("replicas"), s.Replicas),
		podspec.Counts(p, s.Replicas, podspec.Count{Name: "readyReplicas", Value: s.ReadyReplicas}, podspec.Count{Name: "currentReplicas", Value: s.CurrentReplicas},
			podspec.Count{Name: "updatedReplicas", Value: s.UpdatedReplicas}, podspec.Count{Name: "availableReplicas", Value: s.AvailableReplicas}),
		check.AtMost(p.Child("availableReplicas"), s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than status.readyReplicas"),
		check.NotDecremented(p.Child("collisionCount"), s.CollisionCount, old.Status.CollisionCount),
	)
}
