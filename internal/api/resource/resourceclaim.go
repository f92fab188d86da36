package resource

import (
	"strings"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// ResourceClaim of the group resource.
func ResourceClaim() *api.Kind {
	halves := kit.Split(
		func(o *resourcev1.ResourceClaim) *resourcev1.ResourceClaimSpec { return &o.Spec },
		func(o *resourcev1.ResourceClaim) *resourcev1.ResourceClaimStatus { return &o.Status })
	return &api.Kind{
		Kind: "ResourceClaim", Resource: "resourceclaims",
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[resourcev1.ResourceClaim, resourcev1.ResourceClaimList](resourcev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Default:  kit.On(func(o *resourcev1.ResourceClaim) { claimDefault(&o.Spec) }),
		Validate: kit.To(func(o *resourcev1.ResourceClaim) field.ErrorList { return claim(field.NewPath("spec"), &o.Spec) }),
		ValidateUpdate: kit.ToBoth(func(o, old *resourcev1.ResourceClaim) field.ErrorList {
			return check.Immutable(field.NewPath("spec"), o.Spec, old.Spec)
		}),
		Columns: kit.Columns(kit.Column("State", "A summary of the current state (allocated, pending, reserved, etc.).")),
		Cells: kit.Cells(func(o *resourcev1.ResourceClaim, now time.Time) []any {
			return []any{o.Name, claimState(o), kit.Age(o, now)}
		}),
	}
}

func claimState(o *resourcev1.ResourceClaim) string {
	var states []string
	if o.DeletionTimestamp != nil {
		states = append(states, "deleted")
	}
	switch {
	case o.Status.Allocation != nil:
		states = append(states, "allocated")
		if len(o.Status.ReservedFor) > 0 {
			states = append(states, "reserved")
		}
	case o.DeletionTimestamp == nil:
		states = append(states, "pending")
	}
	return strings.Join(states, ",")
}

func claimDefault(s *resourcev1.ResourceClaimSpec) {
	for i := range s.Devices.Requests {
		if e := s.Devices.Requests[i].Exactly; e != nil {
			poddefault.SetZero(&e.AllocationMode, resourcev1.DeviceAllocationModeExactCount)
			if e.AllocationMode == resourcev1.DeviceAllocationModeExactCount {
				poddefault.SetZero(&e.Count, 1)
			}
		}
		for j := range s.Devices.Requests[i].FirstAvailable {
			r := &s.Devices.Requests[i].FirstAvailable[j]
			poddefault.SetZero(&r.AllocationMode, resourcev1.DeviceAllocationModeExactCount)
			if r.AllocationMode == resourcev1.DeviceAllocationModeExactCount {
				poddefault.SetZero(&r.Count, 1)
			}
		}
	}
}

func claim(p *field.Path, s *resourcev1.ResourceClaimSpec) field.ErrorList {
	var errs field.ErrorList
	rp := p.Child("devices", "requests")
	if n := len(s.Devices.Requests); n > 32 {
		errs = append(errs, field.TooMany(rp, n, 32))
	}
	seen := map[string]bool{}
	for i := range s.Devices.Requests {
		r, ip := &s.Devices.Requests[i], rp.Index(i)
		errs = append(errs, check.DNSLabel(ip.Child("name"), r.Name)...)
		if seen[r.Name] {
			errs = append(errs, field.Duplicate(ip, r.Name))
		}
		seen[r.Name] = true
		switch {
		case r.Exactly == nil && len(r.FirstAvailable) == 0:
			errs = append(errs, field.Required(ip, "exactly one of `exactly` or `firstAvailable` is required"))
		case r.Exactly != nil && len(r.FirstAvailable) > 0:
			errs = append(errs, field.Invalid(ip, nil, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
		case r.Exactly != nil:
			errs = append(errs, check.Join(check.Present(ip.Child("exactly", "deviceClassName"), r.Exactly.DeviceClassName),
				check.OneOf(ip.Child("exactly", "allocationMode"), r.Exactly.AllocationMode, resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount))...)
		}
	}
	return errs
}
