package admission

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// podResources is what a pod takes as a whole: at each moment of its start the sum of what runs then
// (init containers alone, sidecars from their start on, all containers at last), and its overhead
// (KEP-753). Pod-level resources, where set, replace the sum (KEP-2837).
func podResources(s *corev1.PodSpec) (requests, limits corev1.ResourceList) {
	requests = peak(s, func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Requests })
	limits = peak(s, func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Limits })
	if s.Resources != nil {
		override(requests, s.Resources.Requests)
		override(limits, s.Resources.Limits)
	}
	add(requests, s.Overhead)
	for k, v := range s.Overhead {
		if have, ok := limits[k]; ok {
			have.Add(v)
			limits[k] = have
		}
	}
	return requests, limits
}

func peak(s *corev1.PodSpec, of func(*corev1.ResourceRequirements) corev1.ResourceList) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for i := range s.Containers {
		add(sum, of(&s.Containers[i].Resources))
	}
	sidecars, starting := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range s.InitContainers {
		c := &s.InitContainers[i]
		now := corev1.ResourceList{}
		add(now, of(&c.Resources))
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(sidecars, now)
			add(sum, now)
			now = corev1.ResourceList{}
		}
		add(now, sidecars)
		atLeast(starting, now)
	}
	atLeast(sum, starting)
	return sum
}

func add(to, more corev1.ResourceList) {
	for k, v := range more {
		q, ok := to[k]
		if !ok {
			q = resource.Quantity{Format: v.Format}
		}
		q.Add(v)
		to[k] = q
	}
}

func atLeast(to, other corev1.ResourceList) {
	for k, v := range other {
		if have, ok := to[k]; !ok || have.Cmp(v) < 0 {
			to[k] = v.DeepCopy()
		}
	}
}

func override(to, with corev1.ResourceList) {
	for k, v := range with {
		to[k] = v.DeepCopy()
	}
}
