package node

import (
	nodev1 "k8s.io/api/node/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// RuntimeClass of the group node.
func RuntimeClass() *api.Kind {
	return &api.Kind{
		Kind: "RuntimeClass", Resource: "runtimeclasses",
		Versions:      []api.Version{kit.Served[nodev1.RuntimeClass, nodev1.RuntimeClassList](nodev1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
