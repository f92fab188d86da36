package discovery

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// EndpointSlice of the group discovery.
func EndpointSlice() *api.Kind {
	return &api.Kind{
		Kind: "EndpointSlice", Resource: "endpointslices",
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](discoveryv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
