package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Secret of the group core.
func Secret() *api.Kind {
	return &api.Kind{
		Kind: "Secret", Resource: "secrets",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.Secret, corev1.SecretList](corev1.SchemeGroupVersion)},
		Fields: map[string]func(api.Object) string{
			"type": kit.To(func(o *corev1.Secret) string { return string(o.Type) }),
		},
	}
}
