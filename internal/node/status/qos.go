package status

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// QOS is the pod's quality of service class: the API's answer when it has one, else
// computed from requests and limits of cpu and memory.
func QOS(pod *corev1.Pod) corev1.PodQOSClass {
	if pod.Status.QOSClass != "" {
		return pod.Status.QOSClass
	}
	any, guaranteed := false, true
	weigh := func(r *corev1.ResourceRequirements) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			req, lim := quantity(r.Requests, name), quantity(r.Limits, name)
			any = any || !req.IsZero() || !lim.IsZero()
			if req.IsZero() {
				req = lim
			}
			guaranteed = guaranteed && !lim.IsZero() && req.Cmp(lim) == 0
		}
	}
	if r := pod.Spec.Resources; r != nil {
		weigh(r)
	} else {
		for i := range pod.Spec.InitContainers {
			weigh(&pod.Spec.InitContainers[i].Resources)
		}
		for i := range pod.Spec.Containers {
			weigh(&pod.Spec.Containers[i].Resources)
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func quantity(l corev1.ResourceList, name corev1.ResourceName) resource.Quantity { return l[name] }
