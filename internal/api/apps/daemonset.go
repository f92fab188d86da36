package apps

import (
	appsv1 "k8s.io/api/apps/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// DaemonSet of the group apps.
func DaemonSet() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.DaemonSet) *appsv1.DaemonSetSpec { return &o.Spec },
		func(o *appsv1.DaemonSet) *appsv1.DaemonSetStatus { return &o.Status })
	return &api.Kind{
		Kind: "DaemonSet", Resource: "daemonsets",
		ShortNames:    []string{"ds"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[appsv1.DaemonSet, appsv1.DaemonSetList](appsv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
	}
}
