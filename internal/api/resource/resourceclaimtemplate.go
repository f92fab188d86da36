package resource

import (
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ResourceClaimTemplate of the group resource.
func ResourceClaimTemplate() *api.Kind {
	return &api.Kind{
		Kind: "ResourceClaimTemplate", Resource: "resourceclaimtemplates",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[resourcev1.ResourceClaimTemplate, resourcev1.ResourceClaimTemplateList](resourcev1.SchemeGroupVersion)},
	}
}
