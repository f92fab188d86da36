package apps

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ControllerRevision of the group apps.
func ControllerRevision() *api.Kind {
	return &api.Kind{
		Kind: "ControllerRevision", Resource: "controllerrevisions",
		Namespaced: true,
		Versions:   []api.Version{kit.Served[appsv1.ControllerRevision, appsv1.ControllerRevisionList](appsv1.SchemeGroupVersion)},
	}
}
