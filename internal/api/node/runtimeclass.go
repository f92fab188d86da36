package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// RuntimeClass of the group node.
func RuntimeClass() *api.Kind {
	return &api.Kind{
		Kind: "RuntimeClass", Resource: "runtimeclasses",
		Versions:      []api.Version{kit.Served[nodev1.RuntimeClass, nodev1.RuntimeClassList](nodev1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *nodev1.RuntimeClass) {
			if o.Overhead != nil {
				poddefault.Round(o.Overhead.PodFixed)
			}
		}),
		Validate: kit.To(func(o *nodev1.RuntimeClass) field.ErrorList {
			errs := check.DNSLabel(field.NewPath("handler"), o.Handler)
			if o.Overhead != nil {
				errs = append(errs, check.Requirements(field.NewPath("overhead"), &corev1.ResourceRequirements{Limits: o.Overhead.PodFixed}, check.ContainerResourceName)...)
			}
			if s := o.Scheduling; s != nil {
				p := field.NewPath("scheduling")
				errs = append(errs, check.Labels(p.Child("nodeSelector"), s.NodeSelector)...)
				errs = append(errs, podspec.Tolerations(p.Child("tolerations"), s.Tolerations)...)
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *nodev1.RuntimeClass) field.ErrorList {
			return check.Immutable(field.NewPath("handler"), o.Handler, old.Handler)
		}),
		Columns: kit.Columns(kit.Column("Handler", nodev1.RuntimeClass{}.SwaggerDoc()["handler"])),
		Cells: kit.Cells(func(o *nodev1.RuntimeClass, now time.Time) []any {
			return []any{o.Name, o.Handler, kit.Age(o, now)}
		}),
	}
}
