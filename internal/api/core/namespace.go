package core

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Namespace of the core group. Deletion first makes it Terminating; it goes when spec.finalizers is empty.
func Namespace() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Namespace) *corev1.NamespaceSpec { return &o.Spec },
		func(o *corev1.Namespace) *corev1.NamespaceStatus { return &o.Status })
	return &api.Kind{
		Kind: "Namespace", Resource: "namespaces",
		ShortNames: []string{"ns"},
		Versions:   []api.Version{kit.Served[corev1.Namespace, corev1.NamespaceList](corev1.SchemeGroupVersion)},
		Verbs:      []string{"create", "delete", "get", "list", "patch", "update", "watch"},
		Default:    kit.On(namespaceDefault),
		PrepareCreate: kit.On(func(o *corev1.Namespace) {
			o.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
			for _, f := range o.Spec.Finalizers {
				if f == corev1.FinalizerKubernetes {
					return
				}
			}
			o.Spec.Finalizers = append(o.Spec.Finalizers, corev1.FinalizerKubernetes)
		}),
		PrepareUpdate: kit.OnBoth(func(o, old *corev1.Namespace) {
			o.Spec.Finalizers, o.Status = old.Spec.Finalizers, old.Status
		}),
		Validate:     kit.To(func(o *corev1.Namespace) field.ErrorList { return finalizers(o) }),
		ValidateName: apivalidation.NameIsDNSLabel,
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpec, Validate: kit.ToBoth(namespaceValidateStatus)},
			{
				Name: "finalize", Verbs: []string{"update"}, Prepare: halves.KeepStatus,
				Validate: kit.ToBoth(func(o, _ *corev1.Namespace) field.ErrorList { return finalizers(o) }),
			},
		},
		Fields: map[string]func(api.Object) string{
			"status.phase": kit.To(func(o *corev1.Namespace) string { return string(o.Status.Phase) }),
		},
		Columns: kit.Columns(kit.Column("Status", "The status of the namespace")),
		Cells: kit.Cells(func(o *corev1.Namespace, now time.Time) []any {
			return []any{o.Name, string(o.Status.Phase), kit.Age(o, now)}
		}),
	}
}

// namespaceDefault gives it the label network policies select namespaces by.
func namespaceDefault(o *corev1.Namespace) {
	if o.Name != "" && o.Labels[corev1.LabelMetadataName] != o.Name {
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[corev1.LabelMetadataName] = o.Name
	}
	if o.Status.Phase == "" {
		o.Status.Phase = corev1.NamespaceActive
	}
}

func finalizers(o *corev1.Namespace) field.ErrorList {
	var errs field.ErrorList
	p := field.NewPath("spec", "finalizers")
	for _, f := range o.Spec.Finalizers {
		errs = append(errs, apivalidation.ValidateFinalizerName(string(f), p)...)
		if !strings.Contains(string(f), "/") && f != corev1.FinalizerKubernetes && f != "orphan" && f != "foregroundDeletion" {
			errs = append(errs, field.Invalid(p, f, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

func namespaceValidateStatus(o, _ *corev1.Namespace) field.ErrorList {
	p, phase := field.NewPath("status", "Phase"), o.Status.Phase
	switch {
	case o.DeletionTimestamp == nil && phase != corev1.NamespaceActive:
		return check.One(field.Invalid(p, phase, "may only be 'Active' if `deletionTimestamp` is empty"))
	case o.DeletionTimestamp != nil && phase != corev1.NamespaceTerminating:
		return check.One(field.Invalid(p, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
	}
	return nil
}
