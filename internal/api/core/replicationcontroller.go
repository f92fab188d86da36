package core

import (
	"maps"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// ReplicationController of the core group.
func ReplicationController() *api.Kind {
	halves := kit.Split(
		func(o *corev1.ReplicationController) *corev1.ReplicationControllerSpec { return &o.Spec },
		func(o *corev1.ReplicationController) *corev1.ReplicationControllerStatus { return &o.Status })
	spec, status := corev1.ReplicationControllerSpec{}.SwaggerDoc(), corev1.ReplicationControllerStatus{}.SwaggerDoc()
	return &api.Kind{
		Kind: "ReplicationController", Resource: "replicationcontrollers",
		ShortNames:    []string{"rc"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.ReplicationController, corev1.ReplicationControllerList](corev1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(rcDefault),
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Validate:      kit.To(rcValidate),
		DefaultOrphan: true,
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(rcValidateStatus)},
			kit.ScaleSub(
				func(o *corev1.ReplicationController) **int32 { return &o.Spec.Replicas },
				func(o *corev1.ReplicationController) (int32, *metav1.LabelSelector) {
					return o.Status.Replicas, &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
				}),
		},
		Fields: map[string]func(api.Object) string{
			"status.replicas": kit.To(func(o *corev1.ReplicationController) string { return strconv.Itoa(int(o.Status.Replicas)) }),
		},
		Columns: append(kit.Columns(
			kit.Int("Desired", spec["replicas"]), kit.Int("Current", status["replicas"]), kit.Int("Ready", status["readyReplicas"]),
		), kit.ContainerColumns(spec["selector"])...),
		Cells: kit.Cells(func(o *corev1.ReplicationController, now time.Time) []any {
			var containers []corev1.Container
			if o.Spec.Template != nil {
				containers = o.Spec.Template.Spec.Containers
			}
			names, images := kit.Images(containers)
			return []any{o.Name, int64(kit.Deref(o.Spec.Replicas, 0)), int64(o.Status.Replicas), int64(o.Status.ReadyReplicas),
				kit.Age(o, now), names, images, labels.FormatLabels(o.Spec.Selector)}
		}),
	}
}

func rcDefault(o *corev1.ReplicationController) {
	poddefault.Set(&o.Spec.Replicas, 1)
	t := o.Spec.Template
	if t == nil {
		return
	}
	poddefault.Spec(&t.Spec)
	if t.Labels != nil {
		if len(o.Spec.Selector) == 0 {
			o.Spec.Selector = maps.Clone(t.Labels)
		}
		if len(o.Labels) == 0 {
			o.Labels = maps.Clone(t.Labels)
		}
	}
}

func rcValidate(o *corev1.ReplicationController) field.ErrorList {
	s, p := &o.Spec, field.NewPath("spec")
	errs := check.Join(
		check.NonNegative(p.Child("minReadySeconds"), s.MinReadySeconds),
		check.OptionalNonNegative(p.Child("replicas"), s.Replicas))
	if len(s.Selector) == 0 {
		errs = append(errs, field.Required(p.Child("selector"), ""))
	}
	if s.Template == nil {
		return append(errs, field.Required(p.Child("template"), ""))
	}
	if len(s.Selector) > 0 && !labels.Set(s.Selector).AsSelector().Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(p.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	return append(errs, podspec.Lasting(p, s.Template, "ReplicationController")...)
}

func rcValidateStatus(o, _ *corev1.ReplicationController) field.ErrorList {
	s, p := &o.Status, field.NewPath("status")
	return check.Join(
		check.NonNegative(p.Child("replicas"), s.Replicas),
		podspec.Counts(p, s.Replicas, podspec.Count{Name: "fullyLabeledReplicas", Value: s.FullyLabeledReplicas},
			podspec.Count{Name: "readyReplicas", Value: s.ReadyReplicas}, podspec.Count{Name: "availableReplicas", Value: s.AvailableReplicas}),
		check.AtMost(p.Child("availableReplicas"), s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than readyReplicas"))
}
