package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CSIDriver of the group storage.
func CSIDriver() *api.Kind {
	return &api.Kind{
		Kind: "CSIDriver", Resource: "csidrivers",
		Versions:      []api.Version{kit.Served[storagev1.CSIDriver, storagev1.CSIDriverList](storagev1.SchemeGroupVersion)},
		HasGeneration: true,
	}
}
