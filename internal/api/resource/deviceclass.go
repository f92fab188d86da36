package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// DeviceClass of the group resource.
func DeviceClass() *api.Kind {
	return &api.Kind{
		Kind: "DeviceClass", Resource: "deviceclasses",
		Versions:      []api.Version{kit.Served[resourcev1.DeviceClass, resourcev1.DeviceClassList](resourcev1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
