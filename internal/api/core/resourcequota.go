package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ResourceQuota of the group core.
func ResourceQuota() *api.Kind {
	halves := kit.Split(
		func(o *corev1.ResourceQuota) *corev1.ResourceQuotaSpec { return &o.Spec },
		func(o *corev1.ResourceQuota) *corev1.ResourceQuotaStatus { return &o.Status })
	return &api.Kind{
		Kind: "ResourceQuota", Resource: "resourcequotas",
		ShortNames:    []string{"quota"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.ResourceQuota, corev1.ResourceQuotaList](corev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
