package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Binding of the group core.
func Binding() *api.Kind {
	return &api.Kind{
		Kind: "Binding", Resource: "bindings",
		Namespaced: true,
		Virtual:    true,
		Verbs:      kit.CreateOnly,
		Versions:   []api.Version{kit.ServedAlone[corev1.Binding](corev1.SchemeGroupVersion)},
	}
}
