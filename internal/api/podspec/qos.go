package podspec

import corev1 "k8s.io/api/core/v1"

// QOS is the pod's class of quality: Guaranteed when every container's limits of cpu and memory are
// set and equal its requests, BestEffort when nothing is set, Burstable otherwise. Resources of the pod as a whole
// decide alone (KEP-2837).
func QOS(pod *corev1.Pod) corev1.PodQOSClass {
	if r := pod.Spec.Resources; r != nil && len(r.Limits)+len(r.Requests) > 0 {
		switch {
		case isGuaranteed(r):
			return corev1.PodQOSGuaranteed
		case isSet(r.Limits) || isSet(r.Requests):
			return corev1.PodQOSBurstable
		}
		return corev1.PodQOSBestEffort
	}
	guaranteed, anything := true, false
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			r := &list[i].Resources
			anything = anything || isSet(r.Limits) || isSet(r.Requests)
			guaranteed = guaranteed && isGuaranteed(r)
		}
	}
	switch {
	case !anything:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func isSet(l corev1.ResourceList) bool {
	for _, n := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, ok := l[n]; ok && q.Sign() > 0 {
			return true
		}
	}
	return false
}

func isGuaranteed(r *corev1.ResourceRequirements) bool {
	for _, n := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, request := r.Limits[n], r.Requests[n]
		// A missing request is defaulted to the limit; templates are not.
		if limit.Sign() <= 0 || request.Sign() > 0 && limit.Cmp(request) != 0 {
			return false
		}
	}
	return true
}
