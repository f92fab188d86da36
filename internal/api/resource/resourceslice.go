package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ResourceSlice of the group resource.
func ResourceSlice() *api.Kind {
	return &api.Kind{
		Kind: "ResourceSlice", Resource: "resourceslices",
		Versions:      []api.Version{kit.Served[resourcev1.ResourceSlice, resourcev1.ResourceSliceList](resourcev1.SchemeGroupVersion)},
		HasGeneration: true,
		Fields: map[string]func(api.Object) string{
			"spec.nodeName": kit.To(func(o *resourcev1.ResourceSlice) string { return deref(o.Spec.NodeName) }),
			"spec.driver":   kit.To(func(o *resourcev1.ResourceSlice) string { return o.Spec.Driver }),
		},
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
