package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// PersistentVolumeClaim of the group core.
func PersistentVolumeClaim() *api.Kind {
	halves := kit.Split(
		func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaimSpec { return &o.Spec },
		func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaimStatus { return &o.Status })
	return &api.Kind{
		Kind: "PersistentVolumeClaim", Resource: "persistentvolumeclaims",
		ShortNames:    []string{"pvc"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.PersistentVolumeClaim, corev1.PersistentVolumeClaimList](corev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
