package crd

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// scaleSub is the scale subresource: three fields of the object, wherever the definition says they are.
func scaleSub(s *apiextensionsv1.CustomResourceSubresourceScale) api.Subresource {
	number := func(o api.Object, at string) int32 {
		n, _, err := unstructured.NestedInt64(o.(*unstructured.Unstructured).Object, path(at)...)
		if err != nil {
			return 0 // validation let no such object in
		}
		return int32(n)
	}
	return api.Subresource{
		Name: "scale", Verbs: []string{"get", "patch", "update"},
		Body: &schema.GroupVersionKind{Group: autoscalingv1.GroupName, Version: "v1", Kind: "Scale"},
		Scale: &api.Scale{
			Get: func(o api.Object) *autoscalingv1.Scale {
				out := &autoscalingv1.Scale{}
				out.Spec.Replicas, out.Status.Replicas = number(o, s.SpecReplicasPath), number(o, s.StatusReplicasPath)
				if s.LabelSelectorPath != nil && *s.LabelSelectorPath != "" {
					out.Status.Selector, _, _ = unstructured.NestedString(o.(*unstructured.Unstructured).Object, path(*s.LabelSelectorPath)...)
				}
				return out
			},
			Set: func(o api.Object, n int32) {
				// It fails where something that is no object is in the way, which validation finds.
				_ = unstructured.SetNestedField(o.(*unstructured.Unstructured).Object, int64(n), path(s.SpecReplicasPath)...)
			},
		},
	}
}
