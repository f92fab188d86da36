package core

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ServiceAccount of the core group.
func ServiceAccount() *api.Kind {
	return &api.Kind{
		Kind: "ServiceAccount", Resource: "serviceaccounts",
		ShortNames: []string{"sa"},
		Namespaced: true,
		Versions:   []api.Version{kit.Served[corev1.ServiceAccount, corev1.ServiceAccountList](corev1.SchemeGroupVersion)},
		// A creator may not claim tokens that are there already.
		PrepareCreate: kit.On(func(o *corev1.ServiceAccount) {
			for i := range o.Secrets {
				o.Secrets[i] = corev1.ObjectReference{Name: o.Secrets[i].Name}
			}
		}),
		Subresources: []api.Subresource{
			{Name: "token", Verbs: kit.CreateOnly, Body: kit.Body("authentication.k8s.io", "v1", "TokenRequest")},
		},
		Columns: kit.Columns(kit.Column("Secrets", corev1.ServiceAccount{}.SwaggerDoc()["secrets"])),
		Cells: kit.Cells(func(o *corev1.ServiceAccount, now time.Time) []any {
			return []any{o.Name, int64(len(o.Secrets)), kit.Age(o, now)}
		}),
	}
}
