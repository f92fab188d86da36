package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// PodTemplate of the group core.
func PodTemplate() *api.Kind {
	return &api.Kind{
		Kind: "PodTemplate", Resource: "podtemplates",
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.PodTemplate, corev1.PodTemplateList](corev1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
