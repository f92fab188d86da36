package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ServiceCIDR of the group networking.
func ServiceCIDR() *api.Kind {
	halves := kit.Split(
		func(o *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRSpec { return &o.Spec },
		func(o *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDRStatus { return &o.Status })
	return &api.Kind{
		Kind: "ServiceCIDR", Resource: "servicecidrs",
		Versions:      []api.Version{kit.Served[networkingv1.ServiceCIDR, networkingv1.ServiceCIDRList](networkingv1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
