package check

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// IsHugePages tells whether a resource is hugepages-<size>.
func IsHugePages(n corev1.ResourceName) bool {
	return strings.HasPrefix(string(n), corev1.ResourceHugePagesPrefix)
}

// IsNative tells whether a resource belongs to Kubernetes: no prefix, or one of kubernetes.io.
func IsNative(n corev1.ResourceName) bool {
	return !strings.Contains(string(n), "/") || strings.Contains(string(n), corev1.ResourceDefaultNamespacePrefix)
}

// IsExtended tells whether a resource is one that a device plugin or an administrator made up.
func IsExtended(n corev1.ResourceName) bool {
	return !IsNative(n) && !strings.HasPrefix(string(n), corev1.DefaultResourceRequestsPrefix) &&
		len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(n))) == 0
}

// IsOvercommitAllowed tells whether limits of a resource may be above requests.
func IsOvercommitAllowed(n corev1.ResourceName) bool { return IsNative(n) && !IsHugePages(n) }

// IsContainerResource tells whether a native resource may be asked for by a container.
func IsContainerResource(n corev1.ResourceName) bool {
	return n == corev1.ResourceCPU || n == corev1.ResourceMemory || n == corev1.ResourceEphemeralStorage || IsHugePages(n)
}

// Counted in whole numbers, whatever their values.
func isCount(n corev1.ResourceName) bool {
	switch n {
	case corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers,
		corev1.ResourceSecrets, corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims,
		corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return false
}

// IsQuotaResource tells whether a resource without a prefix may be in a ResourceQuota.
func IsQuotaResource(n corev1.ResourceName) bool {
	switch n {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourceRequestsStorage:
		return true
	}
	return isCount(n) || IsHugePages(n) || strings.HasPrefix(string(n), corev1.ResourceRequestsHugePagesPrefix)
}

// ResourceName wants a known resource or one with a prefix.
func ResourceName(p *field.Path, n corev1.ResourceName) field.ErrorList {
	if errs := Invalid(p, n, validation.IsQualifiedName(string(n))); len(errs) > 0 {
		return errs
	}
	if !strings.Contains(string(n), "/") && !IsQuotaResource(n) && n != corev1.ResourceStorage {
		return One(field.Invalid(p, n, "must be a standard resource type or fully qualified"))
	}
	return nil
}

// ContainerResourceName wants a resource that a container can have.
func ContainerResourceName(p *field.Path, n corev1.ResourceName) field.ErrorList {
	errs := ResourceName(p, n)
	switch {
	case !strings.Contains(string(n), "/"):
		if !IsContainerResource(n) {
			errs = append(errs, field.Invalid(p, n, "must be a standard resource for containers"))
		}
	case !IsNative(n) && !IsExtended(n):
		errs = append(errs, field.Invalid(p, n, "doesn't follow extended resource name standard"))
	}
	return errs
}

// NonNegativeQuantity wants 0 or more.
func NonNegativeQuantity(p *field.Path, q resource.Quantity) field.ErrorList {
	if q.Sign() < 0 {
		return One(field.Invalid(p, q.String(), NotNegative))
	}
	return nil
}

// PositiveQuantity wants more than 0.
func PositiveQuantity(p *field.Path, q resource.Quantity) field.ErrorList {
	if q.Sign() <= 0 {
		return One(field.Invalid(p, q.String(), NotPositive))
	}
	return nil
}

// ResourceQuantity wants 0 or more, and a whole number of what cannot be divided.
func ResourceQuantity(p *field.Path, n corev1.ResourceName, q resource.Quantity) field.ErrorList {
	errs := NonNegativeQuantity(p, q)
	if (isCount(n) || IsExtended(n)) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(p, q, NotInteger))
	}
	return errs
}

// Requirements checks requests and limits; name checks one resource's name.
func Requirements(p *field.Path, r *corev1.ResourceRequirements, name func(*field.Path, corev1.ResourceName) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	huge, compute := false, false
	one := func(p *field.Path, n corev1.ResourceName, q resource.Quantity) {
		errs = append(errs, name(p, n)...)
		errs = append(errs, ResourceQuantity(p, n, q)...)
		if IsHugePages(n) {
			huge = true
			if !wholePages(n, q) {
				errs = append(errs, field.Invalid(p, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), n)))
			}
		}
		compute = compute || n == corev1.ResourceCPU || n == corev1.ResourceMemory
	}
	limits, requests := p.Child("limits"), p.Child("requests")
	for _, n := range sorted(r.Limits) {
		one(limits.Key(string(n)), n, r.Limits[n])
	}
	for _, n := range sorted(r.Requests) {
		q := r.Requests[n]
		one(requests.Key(string(n)), n, q)
		limit, ok := r.Limits[n]
		switch cmp := q.Cmp(limit); {
		case !ok && !IsOvercommitAllowed(n):
			errs = append(errs, field.Required(limits, "Limit must be set for non overcommitable resources"))
		case !ok:
		case cmp != 0 && !IsOvercommitAllowed(n):
			errs = append(errs, field.Invalid(requests, q.String(), fmt.Sprintf("must be equal to %s limit of %s", n, limit.String())))
		case cmp > 0:
			errs = append(errs, field.Invalid(requests, q.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", n, limit.String())))
		}
	}
	if huge && !compute {
		errs = append(errs, field.Forbidden(p, "HugePages require cpu or memory"))
	}
	return errs
}

func wholePages(n corev1.ResourceName, q resource.Quantity) bool {
	size, err := resource.ParseQuantity(strings.TrimPrefix(string(n), corev1.ResourceHugePagesPrefix))
	return err == nil && size.Sign() > 0 && size.MilliValue()%1000 == 0 && q.Value()%size.Value() == 0
}

// sorted keeps messages in a stable order.
func sorted(l corev1.ResourceList) []corev1.ResourceName {
	if len(l) == 0 {
		return nil
	}
	names := make([]corev1.ResourceName, 0, len(l))
	for n := range l {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
