package poddefault

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/dhow-project/dhow/internal/api/check"
)

// Pod fills in a pod: what only holds for pods, then Spec.
func Pod(p *corev1.Pod) {
	for i := range p.Spec.Containers {
		requestsFromLimits(&p.Spec.Containers[i].Resources)
	}
	for i := range p.Spec.InitContainers {
		requestsFromLimits(&p.Spec.InitContainers[i].Resources)
	}
	podResources(p)
	Set(&p.Spec.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
	if p.Spec.HostNetwork {
		hostPorts(p.Spec.Containers)
		hostPorts(p.Spec.InitContainers)
	}
	Spec(&p.Spec)
}

func requestsFromLimits(r *corev1.ResourceRequirements) {
	if r.Limits == nil {
		return
	}
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for n, q := range r.Limits {
		if _, ok := r.Requests[n]; !ok {
			r.Requests[n] = q.DeepCopy()
		}
	}
}

func hostPorts(containers []corev1.Container) {
	for i := range containers {
		for j := range containers[i].Ports {
			SetZero(&containers[i].Ports[j].HostPort, containers[i].Ports[j].ContainerPort)
		}
	}
}

// podResources completes the resources of the whole pod from those of its containers, when the pod names
// some at all (KEP-2837).
func podResources(p *corev1.Pod) {
	r := p.Spec.Resources
	if r == nil || len(r.Limits) == 0 && len(r.Requests) == 0 {
		return
	}
	for n, q := range resourcehelper.AggregateContainerLimits(p, resourcehelper.PodResourcesOptions{}) {
		_, requested := r.Requests[n]
		if _, ok := r.Limits[n]; !ok && !requested && check.IsHugePages(n) {
			put(&r.Limits, n, q)
		}
	}
	if len(r.Limits) == 0 {
		return
	}
	for n, q := range resourcehelper.AggregateContainerRequests(p, resourcehelper.PodResourcesOptions{}) {
		if _, ok := r.Requests[n]; !ok && resourcehelper.IsSupportedPodLevelResource(n) && check.IsOvercommitAllowed(n) {
			put(&r.Requests, n, q)
		}
	}
	for n, q := range r.Limits {
		if _, ok := r.Requests[n]; !ok && resourcehelper.IsSupportedPodLevelResource(n) {
			put(&r.Requests, n, q)
		}
	}
}

func put(l *corev1.ResourceList, n corev1.ResourceName, q resource.Quantity) {
	if *l == nil {
		*l = corev1.ResourceList{}
	}
	(*l)[n] = q.DeepCopy()
}
