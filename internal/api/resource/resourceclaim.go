package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
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
	}
}
