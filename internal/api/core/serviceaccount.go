package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ServiceAccount of the group core.
func ServiceAccount() *api.Kind {
	return &api.Kind{
		Kind: "ServiceAccount", Resource: "serviceaccounts",
		ShortNames: []string{"sa"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.ServiceAccount, corev1.ServiceAccountList](corev1.SchemeGroupVersion)},
		Subresources: []api.Subresource{
			{Name: "token", Verbs: kit.CreateOnly, Body: kit.Body("authentication.k8s.io", "v1", "TokenRequest")},
		},
	}
}
