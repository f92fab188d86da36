package core

import (
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

const immutableSet = "field is immutable when `immutable` is set"

// ConfigMap of the core group.
func ConfigMap() *api.Kind {
	return &api.Kind{
		Kind: "ConfigMap", Resource: "configmaps",
		ShortNames:     []string{"cm"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[corev1.ConfigMap, corev1.ConfigMapList](corev1.SchemeGroupVersion)},
		Validate:       kit.To(configMapValidate),
		ValidateUpdate: kit.ToBoth(configMapValidateUpdate),
		Columns:        kit.Columns(kit.Column("Data", corev1.ConfigMap{}.SwaggerDoc()["data"])),
		Cells: kit.Cells(func(o *corev1.ConfigMap, now time.Time) []any {
			return []any{o.Name, int64(len(o.Data) + len(o.BinaryData)), kit.Age(o, now)}
		}),
	}
}

func configMapValidate(o *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for k, v := range o.Data {
		p := field.NewPath("data").Key(k)
		errs = append(errs, check.Invalid(p, k, validation.IsConfigMapKey(k))...)
		if _, ok := o.BinaryData[k]; ok {
			errs = append(errs, field.Invalid(p, k, "duplicate of key present in binaryData"))
		}
		size += len(v)
	}
	for k, v := range o.BinaryData {
		errs = append(errs, check.Invalid(field.NewPath("binaryData").Key(k), k, validation.IsConfigMapKey(k))...)
		size += len(v)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return errs
}

func configMapValidateUpdate(o, old *corev1.ConfigMap) field.ErrorList {
	if old.Immutable == nil || !*old.Immutable {
		return nil
	}
	var errs field.ErrorList
	if o.Immutable == nil || !*o.Immutable {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), immutableSet))
	}
	if !reflect.DeepEqual(o.Data, old.Data) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), immutableSet))
	}
	if !reflect.DeepEqual(o.BinaryData, old.BinaryData) {
		errs = append(errs, field.Forbidden(field.NewPath("binaryData"), immutableSet))
	}
	return errs
}
