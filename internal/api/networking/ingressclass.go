package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// IngressClass of the group networking.
func IngressClass() *api.Kind {
	return &api.Kind{
		Kind: "IngressClass", Resource: "ingressclasses",
		Versions:      []api.Version{kit.Served[networkingv1.IngressClass, networkingv1.IngressClassList](networkingv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
