package core

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
	"github.com/dhow-project/dhow/internal/api/podspec"
)

// Pod of the core group.
func Pod() *api.Kind {
	return &api.Kind{
		Kind: "Pod", Resource: "pods",
		ShortNames:     []string{"po"},
		Categories:     []string{"all"},
		Namespaced:     true,
		Versions:       []api.Version{kit.Served[corev1.Pod, corev1.PodList](corev1.SchemeGroupVersion)},
		HasGeneration:  true,
		Default:        kit.On(poddefault.Pod),
		PrepareCreate:  kit.On(podCreate),
		PrepareUpdate:  kit.OnBoth(podUpdate),
		Validate:       kit.To(podspec.Pod),
		ValidateCreate: kit.To(podNew),
		ValidateUpdate: kit.ToBoth(podspec.Update),
		Warnings:       podWarnings,
		Graceful:       podGrace,
		Subresources:   podSubresources(),
		Columns:        podColumns(),
		Cells:          kit.Cells(podCells),
		Fields: map[string]func(api.Object) string{
			"spec.nodeName":            kit.To(func(o *corev1.Pod) string { return o.Spec.NodeName }),
			"spec.restartPolicy":       kit.To(func(o *corev1.Pod) string { return string(o.Spec.RestartPolicy) }),
			"spec.schedulerName":       kit.To(func(o *corev1.Pod) string { return o.Spec.SchedulerName }),
			"spec.serviceAccountName":  kit.To(func(o *corev1.Pod) string { return o.Spec.ServiceAccountName }),
			"spec.hostNetwork":         kit.To(func(o *corev1.Pod) string { return strconv.FormatBool(o.Spec.HostNetwork) }),
			"status.phase":             kit.To(func(o *corev1.Pod) string { return string(o.Status.Phase) }),
			"status.podIP":             kit.To(podIP),
			"status.nominatedNodeName": kit.To(func(o *corev1.Pod) string { return o.Status.NominatedNodeName }),
		},
	}
}

// podSubresources: log, exec and the like are connected by name in the server.
func podSubresources() []api.Subresource {
	return []api.Subresource{
		{Name: "status", Verbs: kit.ReadWrite, Prepare: kit.OnBoth(podStatusPrepare), Validate: kit.ToBoth(podStatusValidate)},
		{Name: "binding", Verbs: kit.CreateOnly, Body: kit.Body("", "v1", "Binding")},
		{Name: "eviction", Verbs: kit.CreateOnly, Body: kit.Body("policy", "v1", "Eviction")},
		{Name: "log", Verbs: []string{"get"}},
		{Name: "exec", Verbs: kit.Connect, Body: kit.Body("", "v1", "PodExecOptions")},
		{Name: "attach", Verbs: kit.Connect, Body: kit.Body("", "v1", "PodAttachOptions")},
		{Name: "portforward", Verbs: kit.Connect, Body: kit.Body("", "v1", "PodPortForwardOptions")},
		{Name: "proxy", Verbs: kit.Proxy, Body: kit.Body("", "v1", "PodProxyOptions")},
		{Name: "ephemeralcontainers", Verbs: kit.ReadWrite, Prepare: kit.OnBoth(podEphemeralPrepare), Validate: kit.ToBoth(podEphemeralValidate)},
		{Name: "resize", Verbs: kit.ReadWrite, Prepare: kit.OnBoth(podResizePrepare), Validate: kit.ToBoth(podResizeValidate)},
	}
}

// podIP is what status.podIP selects by: the first address.
func podIP(p *corev1.Pod) string {
	if len(p.Status.PodIPs) > 0 {
		return p.Status.PodIPs[0].IP
	}
	return p.Status.PodIP
}

// podGrace is the time a pod gets to end: none unless it is on a node and may be running.
func podGrace(o api.Object, requested *int64) int64 {
	p := o.(*corev1.Pod)
	grace := int64(0)
	switch {
	case requested != nil:
		grace = *requested
	case p.Spec.TerminationGracePeriodSeconds != nil:
		grace = *p.Spec.TerminationGracePeriodSeconds
	}
	switch {
	case p.Spec.NodeName == "", p.Status.Phase == corev1.PodFailed, p.Status.Phase == corev1.PodSucceeded:
		return 0
	case grace < 0:
		return 1
	}
	return grace
}
