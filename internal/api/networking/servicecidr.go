package networking

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ServiceCIDR of the group networking.
func ServiceCIDR() *api.Kind {
	halves := kit.Split(
		func(o *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRSpec { return &o.Spec },
		func(o *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRStatus { return &o.Status })
	return &api.Kind{
		Kind: "ServiceCIDR", Resource: "servicecidrs",
		Versions:      []api.Version{kit.Served[networkingv1.ServiceCIDR, networkingv1.ServiceCIDRList](networkingv1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Validate: kit.To(func(o *networkingv1.ServiceCIDR) field.ErrorList {
			var errs field.ErrorList
			p := field.NewPath("spec", "cidrs")
			if len(o.Spec.CIDRs) == 0 {
				errs = append(errs, field.Required(p, "at least one CIDR required"))
			}
			if len(o.Spec.CIDRs) > 2 {
				errs = append(errs, field.Invalid(p, o.Spec.CIDRs, "may only hold up to 2 values"))
			}
			for i, c := range o.Spec.CIDRs {
				errs = append(errs, validation.IsValidCIDR(p.Index(i), c)...)
			}
			return errs
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *networkingv1.ServiceCIDR) field.ErrorList {
			p := field.NewPath("spec", "cidrs")
			// A second family may be added.
			if len(old.Spec.CIDRs) == 1 && len(o.Spec.CIDRs) == 2 {
				return check.Immutable(p.Index(0), o.Spec.CIDRs[0], old.Spec.CIDRs[0])
			}
			return check.Immutable(p, o.Spec.CIDRs, old.Spec.CIDRs)
		}),
		Columns: kit.Columns(kit.Column("CIDRs", networkingv1.ServiceCIDRSpec{}.SwaggerDoc()["cidrs"])),
		Cells: kit.Cells(func(o *networkingv1.ServiceCIDR, now time.Time) []any {
			return []any{o.Name, strings.Join(o.Spec.CIDRs, ","), kit.Age(o, now)}
		}),
	}
}
