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
		Default:       kit.On(crdDefault),
		PrepareCreate: func(o api.Object) {
			halves.ClearStatus(o)
			storeVersion(o.(*apiextensionsv1.CustomResourceDefinition))
		},
		PrepareUpdate: func(obj, old api.Object) {
			halves.KeepStatus(obj, old)
			storeVersion(obj.(*apiextensionsv1.CustomResourceDefinition))
		},
		BeginDelete:    kit.On(crdBeginDelete),
		Validate:       kit.To(crdValidate),
		ValidateCreate: kit.To(crdValidateCreate),
		Warnings: func(o, old api.Object) []string {
			was, _ := old.(*apiextensionsv1.CustomResourceDefinition) // nil for a new one
			return crdWarnings(o.(*apiextensionsv1.CustomResourceDefinition), was)
		},
		ValidateUpdate: kit.ToBoth(crdValidateUpdate),
		Subresources: []api.Subresource{
			{Name: "status", Verbs: kit.ReadWrite, Prepare: halves.KeepSpecAndMeta},
		},
		Columns: kit.CreatedAtColumns(),
		Cells:   kit.CreatedAtCells,
	}
}
