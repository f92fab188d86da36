package storage

import (
	"maps"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// VolumeAttributesClass of the group storage.
func VolumeAttributesClass() *api.Kind {
	return &api.Kind{
		Kind: "VolumeAttributesClass", Resource: "volumeattributesclasses",
		ShortNames: []string{"vac"},
		Versions:   []api.Version{kit.Served[storagev1.VolumeAttributesClass, storagev1.VolumeAttributesClassList](storagev1.SchemeGroupVersion)},
		Validate: kit.To(func(o *storagev1.VolumeAttributesClass) field.ErrorList {
			return append(provisioner(field.NewPath("driverName"), o.DriverName), parameters(field.NewPath("parameters"), o.Parameters, false)...)
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *storagev1.VolumeAttributesClass) field.ErrorList {
			var errs field.ErrorList
			if o.DriverName != old.DriverName {
				errs = append(errs, field.Forbidden(field.NewPath("driverName"), "updates to driverName are forbidden."))
			}
			if !maps.Equal(o.Parameters, old.Parameters) {
				errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
			}
			return errs
		}),
		Columns: kit.Columns(kit.Column("DriverName", storagev1.VolumeAttributesClass{}.SwaggerDoc()["driverName"])),
		Cells: kit.Cells(func(o *storagev1.VolumeAttributesClass, now time.Time) []any {
			return []any{defaultMark(o, "storageclass.kubernetes.io/is-default-class"), o.DriverName, kit.Age(o, now)}
		}),
	}
}
