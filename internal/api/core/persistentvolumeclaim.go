package core

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// PersistentVolumeClaim of the core group.
func PersistentVolumeClaim() *api.Kind {
	halves := kit.Split(
		func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaimSpec { return &o.Spec },
		func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaimStatus { return &o.Status })
	return &api.Kind{
		Kind: "PersistentVolumeClaim", Resource: "persistentvolumeclaims",
		ShortNames: []string{"pvc"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.PersistentVolumeClaim, corev1.PersistentVolumeClaimList](corev1.SchemeGroupVersion)},
		Default: kit.On(func(o *corev1.PersistentVolumeClaim) {
			poddefault.SetZero(&o.Status.Phase, corev1.ClaimPending)
			poddefault.Claim(&o.Spec)
		}),
		PrepareCreate: kit.On(func(o *corev1.PersistentVolumeClaim) {
			o.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
			sameSource(&o.Spec)
		}),
		PrepareUpdate: func(obj, old api.Object) {
			halves.KeepStatus(obj, old)
			sameSource(&obj.(*corev1.PersistentVolumeClaim).Spec)
		},
		Validate: kit.To(func(o *corev1.PersistentVolumeClaim) field.ErrorList {
			return podspec.ClaimSpec(field.NewPath("spec"), &o.Spec)
		}),
		ValidateUpdate: kit.ToBoth(claimValidateUpdate),
		Subresources:   []api.Subresource{halves.StatusSub()},
		Columns:        claimColumns(),
		Cells:          kit.Cells(claimCells),
	}
}

// sameSource copies dataSource and dataSourceRef to each other, as they say the same within a namespace.
func sameSource(s *corev1.PersistentVolumeClaimSpec) {
	switch a, b := s.DataSource, s.DataSourceRef; {
	case a != nil && b == nil:
		s.DataSourceRef = &corev1.TypedObjectReference{Kind: a.Kind, Name: a.Name, APIGroup: a.APIGroup}
	case a == nil && b != nil && (b.Namespace == nil || *b.Namespace == ""):
		s.DataSource = &corev1.TypedLocalObjectReference{Kind: b.Kind, Name: b.Name, APIGroup: b.APIGroup}
	}
}

// claimValidateUpdate: a claim is what quota was paid for; bound ones may grow, unbound ones be bound.
func claimValidateUpdate(o, old *corev1.PersistentVolumeClaim) field.ErrorList {
	p := field.NewPath("spec")
	var errs field.ErrorList
	rest, was := o.Spec.DeepCopy(), old.Spec.DeepCopy()
	if was.VolumeName == "" {
		was.VolumeName = rest.VolumeName
	}
	if was.StorageClassName == nil {
		was.StorageClassName = rest.StorageClassName // a default class that came later
	}
	if o.Status.Phase == corev1.ClaimBound {
		if rest.Resources.Requests != nil {
			rest.Resources.Requests[corev1.ResourceStorage] = was.Resources.Requests[corev1.ResourceStorage]
		}
		if rest.VolumeAttributesClassName != nil {
			rest.VolumeAttributesClassName = was.VolumeAttributesClassName
		}
	}
	if !equality.Semantic.DeepEqual(rest, was) {
		errs = append(errs, field.Forbidden(p, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"+check.Diff(was, rest)))
	}
	size, oldSize, have := o.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage], old.Status.Capacity[corev1.ResourceStorage]
	if size.Cmp(oldSize) < 0 && size.Cmp(have) <= 0 {
		errs = append(errs, field.Forbidden(p.Child("resources", "requests", "storage"), "field can not be less than status.capacity"))
	}
	errs = append(errs, check.Immutable(field.NewPath("volumeMode"), o.Spec.VolumeMode, old.Spec.VolumeMode)...)
	if old.Spec.VolumeAttributesClassName != nil {
		switch c := o.Spec.VolumeAttributesClassName; {
		case c == nil:
			errs = append(errs, field.Forbidden(p.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
		case *c == "" && *old.Spec.VolumeAttributesClassName != "":
			errs = append(errs, field.Forbidden(p.Child("volumeAttributesClassName"), "update from non-nil value to an empty string is forbidden"))
		}
	}
	return errs
}

func claimColumns() []metav1.TableColumnDefinition {
	spec, status := corev1.PersistentVolumeClaimSpec{}.SwaggerDoc(), corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()
	return append(kit.Columns(
		kit.Column("Status", status["phase"]), kit.Column("Volume", spec["volumeName"]), kit.Column("Capacity", status["capacity"]),
		kit.Column("Access Modes", status["accessModes"]), kit.Column("StorageClass", "StorageClass of the pvc"),
		kit.Column("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
	), kit.Wide(kit.Column("VolumeMode", spec["volumeMode"]))...)
}

func claimCells(o *corev1.PersistentVolumeClaim, now time.Time) []any {
	phase := string(o.Status.Phase)
	if o.DeletionTimestamp != nil {
		phase = "Terminating"
	}
	capacity, modes := "", ""
	if o.Spec.VolumeName != "" {
		q := o.Status.Capacity[corev1.ResourceStorage]
		capacity, modes = q.String(), accessModes(o.Status.AccessModes)
	}
	class := kit.Deref(o.Spec.StorageClassName, "")
	if c, ok := o.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		class = c
	}
	return []any{o.Name, phase, o.Spec.VolumeName, capacity, modes, class, kit.Deref(o.Spec.VolumeAttributesClassName, "<unset>"),
		kit.Age(o, now), string(kit.Deref(o.Spec.VolumeMode, "<unset>"))}
}

// accessModes in short: RWO,ROX.
func accessModes(modes []corev1.PersistentVolumeAccessMode) string {
	has := map[corev1.PersistentVolumeAccessMode]bool{}
	for _, m := range modes {
		has[m] = true
	}
	var out []string
	for _, m := range []struct {
		mode  corev1.PersistentVolumeAccessMode
		short string
	}{{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"}} {
		if has[m.mode] {
			out = append(out, m.short)
		}
	}
	return strings.Join(out, ",")
}
