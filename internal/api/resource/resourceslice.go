package resource

import (
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// ResourceSlice of the group resource.
func ResourceSlice() *api.Kind {
	return &api.Kind{
		Kind: "ResourceSlice", Resource: "resourceslices",
		Versions:      []api.Version{kit.Served[resourcev1.ResourceSlice, resourcev1.ResourceSliceList](resourcev1.SchemeGroupVersion)},
		HasGeneration: true,
		Fields: map[string]func(api.Object) string{
			"spec.nodeName": kit.To(func(o *resourcev1.ResourceSlice) string { return deref(o.Spec.NodeName) }),
			"spec.driver":   kit.To(func(o *resourcev1.ResourceSlice) string { return o.Spec.Driver }),
		},
		Validate: kit.To(func(o *resourcev1.ResourceSlice) field.ErrorList {
			p := field.NewPath("spec")
			errs := check.Join(podspec.DriverName(p.Child("driver"), o.Spec.Driver), check.Present(p.Child("pool", "name"), o.Spec.Pool.Name))
			if o.Spec.Pool.ResourceSliceCount <= 0 {
				errs = append(errs, field.Invalid(p.Child("pool", "resourceSliceCount"), o.Spec.Pool.ResourceSliceCount, check.NotPositive))
			}
			if n := len(o.Spec.Devices); n > 128 {
				errs = append(errs, field.TooMany(p.Child("devices"), n, 128))
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *resourcev1.ResourceSlice) field.ErrorList {
			p := field.NewPath("spec")
			return check.Join(check.Immutable(p.Child("driver"), o.Spec.Driver, old.Spec.Driver),
				check.Immutable(p.Child("pool", "name"), o.Spec.Pool.Name, old.Spec.Pool.Name),
				check.Immutable(p.Child("nodeName"), o.Spec.NodeName, old.Spec.NodeName))
		}),
		Columns: kit.Columns(
			kit.Column("Node", resourcev1.ResourceSliceSpec{}.SwaggerDoc()["nodeName"]),
			kit.Column("Driver", resourcev1.ResourceSliceSpec{}.SwaggerDoc()["driver"]),
			kit.Column("Pool", resourcev1.ResourcePool{}.SwaggerDoc()["name"])),
		Cells: kit.Cells(func(o *resourcev1.ResourceSlice, now time.Time) []any {
			return []any{o.Name, kit.Or(deref(o.Spec.NodeName), "<unset>"), o.Spec.Driver, o.Spec.Pool.Name, kit.Age(o, now)}
		}),
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
