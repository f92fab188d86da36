package podspec

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

// Pod checks metadata and spec of a pod, whether it is new or not.
func Pod(pod *corev1.Pod) field.ErrorList {
	p := field.NewPath("spec")
	errs := check.Join(
		PodAnnotations(field.NewPath("metadata", "annotations"), pod.Annotations, &pod.Spec),
		Spec(p, &pod.Spec, &pod.ObjectMeta),
	)
	if pod.Spec.ServiceAccountName == "" {
		for i, v := range pod.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for j, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil {
					errs = append(errs, field.Forbidden(p.Child("volumes").Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken"),
						"must not be specified when serviceAccountName is not set"))
				}
			}
		}
	}
	for i := range pod.Spec.Containers {
		errs = append(errs, imageSpace(p.Child("containers").Index(i), &pod.Spec.Containers[i])...)
	}
	for i := range pod.Spec.InitContainers {
		errs = append(errs, imageSpace(p.Child("initContainers").Index(i), &pod.Spec.InitContainers[i])...)
	}
	return errs
}

func imageSpace(p *field.Path, c *corev1.Container) field.ErrorList {
	if strings.TrimSpace(c.Image) != c.Image {
		return check.One(field.Invalid(p.Child("image"), c.Image, "must not have leading or trailing whitespace"))
	}
	return nil
}

// PodAnnotations checks annotations that mean something to the cluster.
func PodAnnotations(p *field.Path, annotations map[string]string, spec *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	if v, ok := annotations[corev1.PodDeletionCost]; ok {
		n, err := strconv.ParseInt(v, 10, 32)
		// "+1" and "007" would not read back as they were written.
		if err != nil || strconv.FormatInt(n, 10) != v {
			errs = append(errs, field.Invalid(p.Key(corev1.PodDeletionCost), v, "must be a 32bit integer"))
		}
	}
	if v, ok := annotations[corev1.MirrorPodAnnotationKey]; ok && v != "" && spec.NodeName == "" {
		errs = append(errs, field.Invalid(p.Key(corev1.MirrorPodAnnotationKey), v, "must set spec.nodeName if mirror pod annotation is set"))
	}
	return errs
}
