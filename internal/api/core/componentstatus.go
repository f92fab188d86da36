package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ComponentStatus of the group core.
func ComponentStatus() *api.Kind {
	return &api.Kind{
		Kind: "ComponentStatus", Resource: "componentstatuses",
		ShortNames: []string{"cs"},
		Versions:   []api.Version{kit.Served[corev1.ComponentStatus, corev1.ComponentStatusList](corev1.SchemeGroupVersion)},
		Virtual:    true,
		Verbs:      []string{"get", "list"},
	}
}
