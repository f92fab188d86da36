package networking

import (
	"net/netip"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// IPAddress of the group networking.
func IPAddress() *api.Kind {
	return &api.Kind{
		Kind: "IPAddress", Resource: "ipaddresses",
		ShortNames: []string{"ip"},
		Versions:   []api.Version{kit.Served[networkingv1.IPAddress, networkingv1.IPAddressList](networkingv1.SchemeGroupVersion)},
		ValidateName: func(name string, _ bool) []string {
			if a, err := netip.ParseAddr(name); err != nil || a.String() != name || a.Zone() != "" {
				return []string{"must be a valid IP address in canonical form"}
			}
			return nil
		},
		Validate: kit.To(func(o *networkingv1.IPAddress) field.ErrorList {
			p := field.NewPath("spec", "parentRef")
			r := o.Spec.ParentRef
			if r == nil {
				return check.One(field.Required(p, ""))
			}
			return check.Join(check.Present(p.Child("resource"), r.Resource), check.Present(p.Child("name"), r.Name))
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *networkingv1.IPAddress) field.ErrorList {
			return check.Immutable(field.NewPath("spec", "parentRef"), o.Spec.ParentRef, old.Spec.ParentRef)
		}),
		Columns: kit.Columns(kit.Column("ParentRef", networkingv1.IPAddressSpec{}.SwaggerDoc()["parentRef"])),
		Cells: kit.Cells(func(o *networkingv1.IPAddress, now time.Time) []any {
			parent := "<none>"
			if r := o.Spec.ParentRef; r != nil {
				parent = strings.ToLower(schema.GroupResource{Group: r.Group, Resource: r.Resource}.String())
				if r.Namespace != "" {
					parent += "/" + r.Namespace
				}
				parent += "/" + r.Name
			}
			return []any{o.Name, parent, kit.Age(o, now)}
		}),
	}
}
