package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Endpoints of the group core.
func Endpoints() *api.Kind {
	return &api.Kind{
		Kind: "Endpoints", Resource: "endpoints",
		ShortNames:     []string{"ep"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[corev1.Endpoints, corev1.EndpointsList](corev1.SchemeGroupVersion)},
		CreateOnUpdate: true,
	}
}
