package storage

import (
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// StorageClass of the group storage.
func StorageClass() *api.Kind {
	return &api.Kind{
		Kind: "StorageClass", Resource: "storageclasses",
		ShortNames: []string{"sc"},
		Versions:   []api.Version{kit.Served[storagev1.StorageClass, storagev1.StorageClassList](storagev1.SchemeGroupVersion)},
		Default: kit.On(func(o *storagev1.StorageClass) {
			poddefault.Set(&o.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
			poddefault.Set(&o.VolumeBindingMode, storagev1.VolumeBindingImmediate)
		}),
		Validate:       kit.To(classValidate),
		ValidateUpdate: kit.ToBoth(classValidateUpdate),
		Columns: kit.Columns(
			kit.Column("Provisioner", storagev1.StorageClass{}.SwaggerDoc()["provisioner"]),
			kit.Column("ReclaimPolicy", storagev1.StorageClass{}.SwaggerDoc()["reclaimPolicy"]),
			kit.Column("VolumeBindingMode", storagev1.StorageClass{}.SwaggerDoc()["volumeBindingMode"]),
			kit.Column("AllowVolumeExpansion", storagev1.StorageClass{}.SwaggerDoc()["allowVolumeExpansion"])),
		Cells: kit.Cells(func(o *storagev1.StorageClass, now time.Time) []any {
			return []any{defaultMark(o, "storageclass.kubernetes.io/is-default-class"), o.Provisioner,
				string(kit.Deref(o.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)),
				string(kit.Deref(o.VolumeBindingMode, storagev1.VolumeBindingImmediate)), kit.Deref(o.AllowVolumeExpansion, false), kit.Age(o, now)}
		}),
	}
}

// defaultMark is the name, marked when the annotation says this class is the default.
func defaultMark(o metav1.Object, annotation string) string {
	if o.GetAnnotations()[annotation] == "true" {
		return o.GetName() + " (default)"
	}
	return o.GetName()
}

func classValidate(o *storagev1.StorageClass) field.ErrorList {
	errs := provisioner(field.NewPath("provisioner"), o.Provisioner)
	errs = append(errs, parameters(field.NewPath("parameters"), o.Parameters, true)...)
	if r := o.ReclaimPolicy; r != nil {
		errs = append(errs, check.Supported(field.NewPath("reclaimPolicy"), *r, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	if o.VolumeBindingMode == nil {
		errs = append(errs, field.Required(field.NewPath("volumeBindingMode"), ""))
	}
	return append(errs, check.OptionalOf(field.NewPath("volumeBindingMode"), o.VolumeBindingMode, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
}

func provisioner(p *field.Path, name string) field.ErrorList {
	if name == "" {
		return check.One(field.Required(p, name))
	}
	return check.QualifiedName(p, strings.ToLower(name))
}

func parameters(p *field.Path, params map[string]string, mayBeEmpty bool) field.ErrorList {
	if len(params) == 0 && !mayBeEmpty {
		return check.One(field.Required(p, "must contain at least one key/value pair"))
	}
	var errs field.ErrorList
	if n := len(params); n > 512 {
		errs = append(errs, field.TooLong(p, "Provisioner Parameters", 512))
	}
	size := 0
	for k, v := range params {
		if k == "" {
			errs = append(errs, field.Invalid(p, k, "field can not be empty."))
		}
		size += len(k) + len(v)
	}
	if size > 256<<10 {
		errs = append(errs, field.TooLong(p, "", 256<<10))
	}
	return errs
}

func classValidateUpdate(o, old *storagev1.StorageClass) field.ErrorList {
	var errs field.ErrorList
	if !maps.Equal(o.Parameters, old.Parameters) {
		errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
	}
	if o.Provisioner != old.Provisioner {
		errs = append(errs, field.Forbidden(field.NewPath("provisioner"), "updates to provisioner are forbidden."))
	}
	if kit.Deref(o.ReclaimPolicy, "") != kit.Deref(old.ReclaimPolicy, "") {
		errs = append(errs, field.Forbidden(field.NewPath("reclaimPolicy"), "updates to reclaimPolicy are forbidden."))
	}
	return append(errs, check.Immutable(field.NewPath("volumeBindingMode"), o.VolumeBindingMode, old.VolumeBindingMode)...)
}
