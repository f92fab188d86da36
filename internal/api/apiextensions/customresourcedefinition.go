package apiextensions

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CustomResourceDefinition of the group apiextensions.
func CustomResourceDefinition() *api.Kind {
	halves := kit.Split(
		func(o *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionSpec {
			return &o.Spec
		},
		func(o *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionStatus {
			return &o.Status
		})
	return &api.Kind{
		Kind: "CustomResourceDefinition", Resource: "customresourcedefinitions",
		ShortNames:    []string{"crd", "crds"},
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[apiextensionsv1.CustomResourceDefinition, apiextensionsv1.CustomResourceDefinitionList](apiextensionsv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
