package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ConfigMap of the group core.
func ConfigMap() *api.Kind {
	return &api.Kind{
		Kind: "ConfigMap", Resource: "configmaps",
		ShortNames: []string{"cm"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.ConfigMap, corev1.ConfigMapList](corev1.SchemeGroupVersion)},
	}
}
