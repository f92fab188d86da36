package core

import (
	corev1 "k8s.io/api/core/v1"
	"strconv"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Node of the group core.
func Node() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Node) *corev1.NodeSpec { return &o.Spec },
		func(o *corev1.Node) *corev1.NodeStatus { return &o.Status })
	return &api.Kind{
		Kind: "Node", Resource: "nodes",
		ShortNames:    []string{"no"},
		Versions:      []api.Version{kit.Served[corev1.Node, corev1.NodeList](corev1.SchemeGroupVersion)},
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Fields: map[string]func(api.Object) string{
			"spec.unschedulable": kit.To(func(o *corev1.Node) string { return strconv.FormatBool(o.Spec.Unschedulable) }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			{Name: "proxy", Verbs: kit.Proxy, Body: kit.Body("", "v1", "NodeProxyOptions")},
		},
	}
}
