package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Lease of the group coordination.
func Lease() *api.Kind {
	return &api.Kind{
		Kind: "Lease", Resource: "leases",
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[coordinationv1.Lease, coordinationv1.LeaseList](coordinationv1.SchemeGroupVersion)},
		CreateOnUpdate: true,
	}
}
