package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/dhow-project/dhow/internal/api/check"
)

func overhead(p *field.Path, o corev1.ResourceList) field.ErrorList {
	if o == nil {
		return nil
	}
	return check.Requirements(p, &corev1.ResourceRequirements{Limits: o}, check.ContainerResourceName)
}

// podResources checks what the whole pod asks for (KEP-2837).
func (s *scope) podResources(p *field.Path) field.ErrorList {
	r := s.spec.Resources
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	if r.Claims != nil {
		errs = append(errs, field.Forbidden(p.Child("claims"), "claims cannot be set for Resources at pod-level"))
	}
	errs = append(errs, check.Requirements(p, r, podResourceName)...)
	sum := resourcehelper.AggregateContainerRequests(&corev1.Pod{Spec: *s.spec}, resourcehelper.PodResourcesOptions{})
	for _, n := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		q, ok := sum[n]
		if have := r.Requests[n]; ok && q.Cmp(have) > 0 {
			errs = append(errs, field.Invalid(p.Child("requests").Key(string(n)), have.String(),
				fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", q.String())))
		}
	}
	for i := range s.spec.Containers {
		for n, q := range s.spec.Containers[i].Resources.Limits {
			if limit, ok := r.Limits[n]; ok && q.Cmp(limit) > 0 {
				errs = append(errs, field.Invalid(p.Child("containers").Index(i).Key(string(n)).Child("limits"), q.String(),
					fmt.Sprintf("must be less than or equal to pod limits of %s", limit.String())))
			}
		}
	}
	return errs
}

func podResourceName(p *field.Path, n corev1.ResourceName) field.ErrorList {
	if errs := check.ResourceName(p, n); len(errs) > 0 {
		return errs
	}
	if !resourcehelper.IsSupportedPodLevelResource(n) {
		return check.One(field.NotSupported(p, n, []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceHugePagesPrefix, corev1.ResourceMemory}))
	}
	return nil
}
