package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Ingress of the group networking.
func Ingress() *api.Kind {
	halves := kit.Split(
		func(o *networkingv1.Ingress) *networkingv1.IngressSpec { return &o.Spec },
		func(o *networkingv1.Ingress) *networkingv1.IngressStatus { return &o.Status })
	return &api.Kind{
		Kind: "Ingress", Resource: "ingresses",
		ShortNames:    []string{"ing"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[networkingv1.Ingress, networkingv1.IngressList](networkingv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
