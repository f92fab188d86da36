package networking

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// IPAddress of the group networking.
func IPAddress() *api.Kind {
	return &api.Kind{
		Kind: "IPAddress", Resource: "ipaddresses",
		ShortNames: []string{"ip"},
		Versions:   []api.Version{kit.Served[networkingv1.IPAddress, networkingv1.IPAddressList](networkingv1.SchemeGroupVersion)},
	}
}
