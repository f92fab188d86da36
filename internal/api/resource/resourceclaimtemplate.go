package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ResourceClaimTemplate of the group resource.
func ResourceClaimTemplate() *api.Kind {
	return &api.Kind{
		Kind: "ResourceClaimTemplate", Resource: "resourceclaimtemplates",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[resourcev1.ResourceClaimTemplate, resourcev1.ResourceClaimTemplateList](resourcev1.SchemeGroupVersion)},
		Default:    kit.On(func(o *resourcev1.ResourceClaimTemplate) { claimDefault(&o.Spec.Spec) }),
		Validate: kit.To(func(o *resourcev1.ResourceClaimTemplate) field.ErrorList {
			p := field.NewPath("spec")
			return append(check.TemplateMeta(p.Child("metadata"), &o.Spec.ObjectMeta), claim(p.Child("spec"), &o.Spec.Spec)...)
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *resourcev1.ResourceClaimTemplate) field.ErrorList {
			return check.Immutable(field.NewPath("spec"), o.Spec, old.Spec)
		}),
	}
}
