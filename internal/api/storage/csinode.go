package storage

import (
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// CSINode of the group storage.
func CSINode() *api.Kind {
	return &api.Kind{
		Kind: "CSINode", Resource: "csinodes",
		Versions: []api.Version{kit.Served[storagev1.CSINode, storagev1.CSINodeList](storagev1.SchemeGroupVersion)},
	}
}
