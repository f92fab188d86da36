package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// Resize checks an update through the subresource resize (KEP-1287): only cpu and memory may change, the class of
// quality may not.
func Resize(pod, old *corev1.Pod) field.ErrorList {
	whole := field.NewPath("")
	p := field.NewPath("spec")
	if _, ok := old.Annotations[corev1.MirrorPodAnnotationKey]; ok {
		return check.One(field.Forbidden(whole, "static pods cannot be resized"))
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return check.One(field.Forbidden(whole, "windows pods cannot be resized"))
	}
	if len(pod.Spec.Containers) != len(old.Spec.Containers) || len(pod.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return check.One(field.Forbidden(p.Child("containers"), "pod updates may not add or remove containers"))
	}
	var errs field.ErrorList
	if QOS(pod) != QOS(old) {
		errs = append(errs, field.Invalid(p, pod.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	if !nodeResizes(old) {
		errs = append(errs, field.Forbidden(p, "Pod running on node without support for resize"))
	}
	rest := pod.Spec.DeepCopy()
	for i := range rest.InitContainers {
		c, was := &rest.InitContainers[i], &old.Spec.InitContainers[i]
		message := "resources for non-sidecar init containers are immutable"
		if IsSidecar(c) {
			message = "only cpu and memory resources for sidecar containers are mutable"
			errs = append(errs, resized(p.Child("initContainers").Index(i).Child("resources"), c, was)...)
			putBack(&c.Resources, &was.Resources)
		}
		if !equality.Semantic.DeepEqual(c, was) {
			errs = append(errs, field.Forbidden(p, message))
		}
	}
	for i := range rest.Containers {
		c, was := &rest.Containers[i], &old.Spec.Containers[i]
		errs = append(errs, resized(p.Child("containers").Index(i).Child("resources"), c, was)...)
		putBack(&c.Resources, &was.Resources)
	}
	if rest.Resources != nil && old.Spec.Resources != nil {
		putBack(rest.Resources, old.Spec.Resources)
	}
	if len(errs) == 0 && !equality.Semantic.DeepEqual(rest, &old.Spec) {
		errs = append(errs, field.Forbidden(p, "only cpu and memory resources are mutable"))
	}
	return errs
}

// nodeResizes: nodes that can, report the resources containers run with.
func nodeResizes(pod *corev1.Pod) bool {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].State.Running != nil {
			return pod.Status.ContainerStatuses[i].Resources != nil
		}
	}
	return true
}

func resized(p *field.Path, c, was *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	if removed(c.Resources.Requests, was.Resources.Requests) {
		errs = append(errs, field.Forbidden(p.Child("requests"), "resource requests cannot be removed"))
	}
	if removed(c.Resources.Limits, was.Resources.Limits) {
		errs = append(errs, field.Forbidden(p.Child("limits"), "resource limits cannot be removed"))
	}
	return errs
}

func removed(now, old corev1.ResourceList) bool {
	for n := range old {
		if _, ok := now[n]; !ok {
			return true
		}
	}
	return false
}

// putBack gives r the cpu and memory of old.
func putBack(r, old *corev1.ResourceRequirements) {
	for _, l := range []struct{ now, old *corev1.ResourceList }{{&r.Limits, &old.Limits}, {&r.Requests, &old.Requests}} {
		for _, n := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := (*l.old)[n]; ok {
				if *l.now == nil {
					*l.now = corev1.ResourceList{}
				}
				(*l.now)[n] = q
			} else {
				delete(*l.now, n)
			}
		}
		if len(*l.now) == 0 {
			*l.now = *l.old
		}
	}
}

// EphemeralUpdate checks an update through the subresource ephemeralcontainers: containers are only added.
func EphemeralUpdate(pod, old *corev1.Pod) field.ErrorList {
	if _, ok := old.Annotations[corev1.MirrorPodAnnotationKey]; ok {
		return check.One(field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers"))
	}
	var errs field.ErrorList
	p := field.NewPath("spec", "ephemeralContainers")
	for i := range old.Spec.EphemeralContainers {
		was, found := &old.Spec.EphemeralContainers[i], false
		for j := range pod.Spec.EphemeralContainers {
			c := &pod.Spec.EphemeralContainers[j]
			if c.Name != was.Name {
				continue
			}
			found = true
			if !equality.Semantic.DeepEqual(c, was) {
				errs = append(errs, field.Forbidden(p, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", was.Name, check.Diff(was, c))))
			}
		}
		if !found {
			errs = append(errs, field.Forbidden(p, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", was.Name)))
		}
	}
	return errs
}
