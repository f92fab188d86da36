package admission

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dhow-project/dhow/internal/api"
)

// usageOf is what an object counts against quotas (reference: Resource Quotas).
func usageOf(k *api.Kind, o api.Object) corev1.ResourceList {
	one := *resource.NewQuantity(1, resource.DecimalSI)
	out := corev1.ResourceList{}
	name := k.Resource
	if g := k.Hub().Group; g != "" {
		name += "." + g
	}
	out[corev1.ResourceName("count/"+name)] = one
	switch o := o.(type) {
	case *corev1.Pod:
		podUsage(o, out, one)
	case *corev1.Service:
		out[corev1.ResourceServices] = one
		if needsNodePort(o) {
			n := int64(0)
			for i := range o.Spec.Ports {
				if o.Spec.Type == corev1.ServiceTypeNodePort || o.Spec.Ports[i].NodePort != 0 || o.Spec.AllocateLoadBalancerNodePorts == nil || *o.Spec.AllocateLoadBalancerNodePorts {
					n++
				}
			}
			out[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(n, resource.DecimalSI)
		}
		if o.Spec.Type == corev1.ServiceTypeLoadBalancer {
			out[corev1.ResourceServicesLoadBalancers] = one
		}
	case *corev1.PersistentVolumeClaim:
		claimUsage(o, out, one)
	case *corev1.ConfigMap, *corev1.Secret, *corev1.ReplicationController, *corev1.ResourceQuota:
		out[corev1.ResourceName(k.Resource)] = one
	}
	return out
}

func podUsage(p *corev1.Pod, out corev1.ResourceList, one resource.Quantity) {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return
	}
	out[corev1.ResourcePods] = one
	requests, limits := podResources(&p.Spec)
	for k, v := range requests {
		out["requests."+k] = v
		switch k {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			out[k] = v
		}
	}
	for k, v := range limits {
		out["limits."+k] = v
	}
}

func claimUsage(c *corev1.PersistentVolumeClaim, out corev1.ResourceList, one resource.Quantity) {
	size := c.Spec.Resources.Requests[corev1.ResourceStorage]
	out[corev1.ResourcePersistentVolumeClaims] = one
	out[corev1.ResourceRequestsStorage] = size
	class := c.Annotations[corev1.BetaStorageClassAnnotation]
	if class == "" && c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	if class != "" {
		suffix := corev1.ResourceName(class + ".storageclass.storage.k8s.io/")
		out[suffix+"requests.storage"] = size
		out[suffix+corev1.ResourcePersistentVolumeClaims] = one
	}
}

// inScope reports whether all scopes of a quota match. A quota with scopes is for pods only.
func inScope(q *corev1.ResourceQuota, o api.Object) bool {
	var terms []corev1.ScopedResourceSelectorRequirement
	for _, s := range q.Spec.Scopes {
		terms = append(terms, corev1.ScopedResourceSelectorRequirement{ScopeName: s, Operator: corev1.ScopeSelectorOpExists})
	}
	if q.Spec.ScopeSelector != nil {
		terms = append(terms, q.Spec.ScopeSelector.MatchExpressions...)
	}
	p, isPod := o.(*corev1.Pod)
	for _, t := range terms {
		if !isPod || !podInScope(p, t) {
			return false
		}
	}
	return true
}

func podInScope(p *corev1.Pod, t corev1.ScopedResourceSelectorRequirement) bool {
	terminating := p.Spec.ActiveDeadlineSeconds != nil && *p.Spec.ActiveDeadlineSeconds >= 0
	switch t.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return terminating
	case corev1.ResourceQuotaScopeNotTerminating:
		return !terminating
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort(&p.Spec)
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort(&p.Spec)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossNamespace(p.Spec.Affinity)
	case corev1.ResourceQuotaScopePriorityClass:
		class := p.Spec.PriorityClassName
		switch t.Operator {
		case corev1.ScopeSelectorOpIn:
			return slices.Contains(t.Values, class)
		case corev1.ScopeSelectorOpNotIn:
			return !slices.Contains(t.Values, class)
		case corev1.ScopeSelectorOpDoesNotExist:
			return class == ""
		}
		return class != ""
	}
	return false
}

func bestEffort(s *corev1.PodSpec) bool {
	requests, limits := podResources(s)
	for _, l := range []corev1.ResourceList{requests, limits} {
		for _, k := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q := l[k]; !q.IsZero() {
				return false
			}
		}
	}
	return true
}

func crossNamespace(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	if a.PodAffinity != nil {
		terms = append(terms, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		for _, w := range a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			terms = append(terms, w.PodAffinityTerm)
		}
	}
	if a.PodAntiAffinity != nil {
		terms = append(terms, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		for _, w := range a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
			terms = append(terms, w.PodAffinityTerm)
		}
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}
