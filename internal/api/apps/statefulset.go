package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// StatefulSet of the group apps.
func StatefulSet() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.StatefulSet) *appsv1.StatefulSetSpec { return &o.Spec },
		func(o *appsv1.StatefulSet) *appsv1.StatefulSetStatus { return &o.Status })
	return &api.Kind{
		Kind: "StatefulSet", Resource: "statefulsets",
		ShortNames:    []string{"sts"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[appsv1.StatefulSet, appsv1.StatefulSetList](appsv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
			kit.ScaleSub(
				func(o *appsv1.StatefulSet) **int32 { return &o.Spec.Replicas },
				func(o *appsv1.StatefulSet) (int32, *metav1.LabelSelector) { return o.Status.Replicas, o.Spec.Selector }),
		},
	}
}
