package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// PersistentVolume of the group core.
func PersistentVolume() *api.Kind {
	halves := kit.Split(
		func(o *corev1.PersistentVolume) *corev1.PersistentVolumeSpec { return &o.Spec },
		func(o *corev1.PersistentVolume) *corev1.PersistentVolumeStatus { return &o.Status })
	return &api.Kind{
		Kind: "PersistentVolume", Resource: "persistentvolumes",
		ShortNames:    []string{"pv"},
		Versions:      []api.Version{kit.Served[corev1.PersistentVolume, corev1.PersistentVolumeList](corev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
