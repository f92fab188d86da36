package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// VolumeAttributesClass of the group storage.
func VolumeAttributesClass() *api.Kind {
	return &api.Kind{
		Kind: "VolumeAttributesClass", Resource: "volumeattributesclasses",
		ShortNames: []string{"vac"},
		Versions:   []api.Version{kit.Served[storagev1.VolumeAttributesClass, storagev1.VolumeAttributesClassList](storagev1.SchemeGroupVersion)},
	}
}
