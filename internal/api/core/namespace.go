package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Namespace of the group core.
func Namespace() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Namespace) *corev1.NamespaceSpec { return &o.Spec },
		func(o *corev1.Namespace) *corev1.NamespaceStatus { return &o.Status })
	return &api.Kind{
		Kind: "Namespace", Resource: "namespaces",
		ShortNames:    []string{"ns"},
		Versions:      []api.Version{kit.Served[corev1.Namespace, corev1.NamespaceList](corev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Verbs:         []string{"create", "delete", "get", "list", "patch", "update", "watch"},
		Fields: map[string]func(api.Object) string{
			"status.phase": kit.To(func(o *corev1.Namespace) string { return string(o.Status.Phase) }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			{Name: "finalize", Verbs: []string{"update"}, Prepare: halves.KeepStatus},
		},
	}
}
