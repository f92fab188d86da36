package core

import (
	corev1 "k8s.io/api/core/v1"
	"strconv"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// Pod of the group core.
func Pod() *api.Kind {
	halves := kit.Split(
		func(o *corev1.Pod) *corev1.PodSpec { return &o.Spec },
		func(o *corev1.Pod) *corev1.PodStatus { return &o.Status })
	return &api.Kind{
		Kind: "Pod", Resource: "pods",
		ShortNames:    []string{"po"},
		Categories:    []string{"all"},
		Namespaced:    true,
		Versions:      []api.Version{kit.Served[corev1.Pod, corev1.PodList](corev1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Fields: map[string]func(api.Object) string{
			"spec.nodeName":            kit.To(func(o *corev1.Pod) string { return o.Spec.NodeName }),
			"spec.restartPolicy":       kit.To(func(o *corev1.Pod) string { return string(o.Spec.RestartPolicy) }),
			"spec.schedulerName":       kit.To(func(o *corev1.Pod) string { return o.Spec.SchedulerName }),
			"spec.serviceAccountName":  kit.To(func(o *corev1.Pod) string { return o.Spec.ServiceAccountName }),
			"spec.hostNetwork":         kit.To(func(o *corev1.Pod) string { return strconv.FormatBool(o.Spec.HostNetwork) }),
			"status.phase":             kit.To(func(o *corev1.Pod) string { return string(o.Status.Phase) }),
			"status.podIP":             kit.To(func(o *corev1.Pod) string { return podIP(o) }),
			"status.nominatedNodeName": kit.To(func(o *corev1.Pod) string { return o.Status.NominatedNodeName }),
		},
		Subresources: []api.Subresource{
			halves.StatusSub(),
			{Name: "binding", Verbs: kit.CreateOnly, Body: kit.Body("", "v1", "Binding")},
			{Name: "eviction", Verbs: kit.CreateOnly, Body: kit.Body("policy", "v1", "Eviction")},
			{Name: "log", Verbs: []string{"get"}},
			{Name: "exec", Verbs: kit.Connect, Body: kit.Body("", "v1", "PodExecOptions")},
			{Name: "attach", Verbs: kit.Connect, Body: kit.Body("", "v1", "PodAttachOptions")},
			{Name: "portforward", Verbs: kit.Connect, Body: kit.Body("", "v1", "PodPortForwardOptions")},
			{Name: "proxy", Verbs: kit.Proxy, Body: kit.Body("", "v1", "PodProxyOptions")},
			{Name: "ephemeralcontainers", Verbs: kit.ReadWrite},
			{Name: "resize", Verbs: kit.ReadWrite},
		},
	}
}

// podIP is what status.podIP selects by: the first address.
func podIP(p *corev1.Pod) string {
	if len(p.Status.PodIPs) > 0 {
		return p.Status.PodIPs[0].IP
	}
	return p.Status.PodIP
}
