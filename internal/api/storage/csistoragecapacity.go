package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CSIStorageCapacity of the group storage.
func CSIStorageCapacity() *api.Kind {
	return &api.Kind{
		Kind: "CSIStorageCapacity", Resource: "csistoragecapacities",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[storagev1.CSIStorageCapacity, storagev1.CSIStorageCapacityList](storagev1.SchemeGroupVersion)},
	}
}
