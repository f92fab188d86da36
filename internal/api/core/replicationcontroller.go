package core

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"strconv"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ReplicationController of the group core.
func ReplicationController() *api.Kind {
	halves := kit.Split(
		func(o *corev1.ReplicationController) *corev1.ReplicationControllerSpec { return &o.Spec },
		func(o *corev1.ReplicationController) *corev1.ReplicationControllerStatus { return &o.Status })
	return &api.Kind{
		Kind: "ReplicationController", Resource: "replicationcontrollers",
		ShortNames:    []string{"rc"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.ReplicationController, corev1.ReplicationControllerList](corev1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		DefaultOrphan: true,
		Fields: map[string]func(api.Object) string{
			"status.replicas": kit.To(func(o *corev1.ReplicationController) string { return strconv.Itoa(int(o.Status.Replicas)) }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			kit.ScaleSub(
				func(o *corev1.ReplicationController) **int32 { return &o.Spec.Replicas },
				func(o *corev1.ReplicationController) (int32, *metav1.LabelSelector) {
					return o.Status.Replicas, &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
				}),
		},
	}
}
