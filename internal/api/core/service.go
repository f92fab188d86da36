package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Service of the group core.
func Service() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Service) *corev1.ServiceSpec { return &o.Spec },
		func(o *corev1.Service) *corev1.ServiceStatus { return &o.Status })
	return &api.Kind{
		Kind: "Service", Resource: "services",
		ShortNames:     []string{"svc"},
		Categories:     []string{"all"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[corev1.Service, corev1.ServiceList](corev1.SchemeGroupVersion)},
		PrepareCreate:  halves.ClearStatus,
		PrepareUpdate:  halves.KeepStatus,
		CreateOnUpdate: true,
		Fields: map[string]func(api.Object) string{
			"spec.clusterIP": kit.To(func(o *corev1.Service) string { return o.Spec.ClusterIP }),
			"spec.type":      kit.To(func(o *corev1.Service) string { return string(o.Spec.Type) }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			{Name: "proxy", Verbs: kit.Proxy, Body: kit.Body("", "v1", "ServiceProxyOptions")},
		},
	}
}
