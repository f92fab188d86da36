package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// VolumeAttachment of the group storage.
func VolumeAttachment() *api.Kind {
	halves := kit.Split(
		func(o *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentSpec { return &o.Spec },
		func(o *storagev1.VolumeAttachment) *storagev1.VolumeAttachmentStatus { return &o.Status })
	return &api.Kind{
		Kind: "VolumeAttachment", Resource: "volumeattachments",
		Versions:      []api.Version{kit.Served[storagev1.VolumeAttachment, storagev1.VolumeAttachmentList](storagev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
