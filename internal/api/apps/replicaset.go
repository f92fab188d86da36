package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"strconv"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ReplicaSet of the group apps.
func ReplicaSet() *api.Kind {
	halves := kit.Split(
		func(o *appsv1.ReplicaSet) *appsv1.ReplicaSetSpec { return &o.Spec },
		func(o *appsv1.ReplicaSet) *appsv1.ReplicaSetStatus { return &o.Status })
	return &api.Kind{
		Kind: "ReplicaSet", Resource: "replicasets",
		ShortNames:    []string{"rs"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[appsv1.ReplicaSet, appsv1.ReplicaSetList](appsv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Fields: map[string]func(api.Object) string{
			"status.replicas": kit.To(func(o *appsv1.ReplicaSet) string { return strconv.Itoa(int(o.Status.Replicas)) }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			kit.ScaleSub(
				func(o *appsv1.ReplicaSet) **int32 { return &o.Spec.Replicas },
				func(o *appsv1.ReplicaSet) (int32, *metav1.LabelSelector) { return o.Status.Replicas, o.Spec.Selector }),
		},
	}
}
