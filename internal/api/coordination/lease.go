package coordination

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Lease of the group coordination.
func Lease() *api.Kind {
	return &api.Kind{
		Kind: "Lease", Resource: "leases",
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[coordinationv1.Lease, coordinationv1.LeaseList](coordinationv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
		Validate: kit.To(func(o *coordinationv1.Lease) field.ErrorList {
			p := field.NewPath("spec")
			var errs field.ErrorList
			if d := o.Spec.LeaseDurationSeconds; d != nil && *d <= 0 {
				errs = append(errs, field.Invalid(p.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
			}
			if h := o.Spec.HolderIdentity; h != nil && *h == "" && o.Spec.Strategy != nil {
				errs = append(errs, field.Invalid(p.Child("holderIdentity"), *h, "must not be empty"))
			}
			return append(errs, check.OptionalNonNegative(p.Child("leaseTransitions"), o.Spec.LeaseTransitions)...)
		}),
		Columns: kit.Columns(kit.Column("Holder", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"])),
		Cells: kit.Cells(func(o *coordinationv1.Lease, now time.Time) []any {
			return []any{o.Name, kit.Deref(o.Spec.HolderIdentity, ""), kit.Age(o, now)}
		}),
	}
}
