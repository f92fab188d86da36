package apps

import (
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// ReplicaSet of the group apps.
func ReplicaSet() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.ReplicaSet) *appsv1.ReplicaSetSpec { return &o.Spec },
		func(o *appsv1.ReplicaSet) *appsv1.ReplicaSetStatus { return &o.Status })
	spec, status := appsv1.ReplicaSetSpec{}.SwaggerDoc(), appsv1.ReplicaSetStatus{}.SwaggerDoc()
	return &api.Kind{
		Kind: "ReplicaSet", Resource: "replicasets",
		ShortNames:    []string{"rs"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[appsv1.ReplicaSet, appsv1.ReplicaSetList](appsv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *appsv1.ReplicaSet) {
			poddefault.Spec(&o.Spec.Template.Spec)
			poddefault.Set(&o.Spec.Replicas, 1)
		}),
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Validate:      kit.To(replicaSetValidate),
		ValidateUpdate: kit.ToBoth(func(o, old *appsv1.ReplicaSet) field.ErrorList {
			return check.Immutable(field.NewPath("spec", "selector"), o.Spec.Selector, old.Spec.Selector)
		}),
		Warnings: templateWarnings(func(o *appsv1.ReplicaSet) *corev1.PodTemplateSpec { return &o.Spec.Template }),
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(replicaSetValidateStatus)},
			kit.ScaleSub(
				func(o *appsv1.ReplicaSet) **int32 { return &o.Spec.Replicas },
				func(o *appsv1.ReplicaSet) (int32, *metav1.LabelSelector) { return o.Status.Replicas, o.Spec.Selector }),
		},
		Fields: map[string]func(api.Object) string{
			"status.replicas": kit.To(func(o *appsv1.ReplicaSet) string { return strconv.Itoa(int(o.Status.Replicas)) }),
		},
		Columns: append(kit.Columns(
			kit.Int("Desired", spec["replicas"]), kit.Int("Current", status["replicas"]), kit.Int("Ready", status["readyReplicas"]),
		), kit.ContainerColumns(spec["selector"])...),
		Cells: kit.Cells(func(o *appsv1.ReplicaSet, now time.Time) []any {
			names, images := kit.Images(o.Spec.Template.Spec.Containers)
			return []any{o.Name, int64(kit.Deref(o.Spec.Replicas, 0)), int64(o.Status.Replicas), int64(o.Status.ReadyReplicas),
				kit.Age(o, now), names, images, metav1.FormatLabelSelector(o.Spec.Selector)}
		}),
	}
}

func replicaSetValidate(o *appsv1.ReplicaSet) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	return check.Join(
		check.OptionalNonNegative(p.Child("replicas"), s.Replicas),
		check.NonNegative(p.Child("minReadySeconds"), s.MinReadySeconds),
		podspec.Selector(p, s.Selector, "deployment"), // as upstream says it
		podspec.Selected(p, s.Selector, &s.Template),
		podspec.Lasting(p, &s.Template, "ReplicaSet"),
	)
}

func replicaSetValidateStatus(o, _ *appsv1.ReplicaSet) field.ErrorList {
	s, p := &o.Status, field.NewPath("status")
	return check.Join(
		check.NonNegative(p.Child("replicas"), s.Replicas),
		podspec.Counts(p, s.Replicas, podspec.Count{Name: "fullyLabeledReplicas", Value: s.FullyLabeledReplicas},
			podspec.Count{Name: "readyReplicas", Value: s.ReadyReplicas}, podspec.Count{Name: "availableReplicas", Value: s.AvailableReplicas}),
		check.AtMost(p.Child("availableReplicas"), s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than readyReplicas"),
	)
}
