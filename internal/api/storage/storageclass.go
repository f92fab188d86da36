package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// StorageClass of the group storage.
func StorageClass() *api.Kind {
	return &api.Kind{
		Kind: "StorageClass", Resource: "storageclasses",
		ShortNames: []string{"sc"},
		Versions:   []api.Version{kit.Served[storagev1.StorageClass, storagev1.StorageClassList](storagev1.SchemeGroupVersion)},
	}
}
