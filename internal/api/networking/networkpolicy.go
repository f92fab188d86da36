package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// NetworkPolicy of the group networking.
func NetworkPolicy() *api.Kind {
	return &api.Kind{
		Kind: "NetworkPolicy", Resource: "networkpolicies",
		ShortNames:    []string{"netpol"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[networkingv1.NetworkPolicy, networkingv1.NetworkPolicyList](networkingv1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
