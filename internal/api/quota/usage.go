// Package quota is the arithmetic of ResourceQuotas: what an object uses, and
// whether a quota is about it.
//
// Admission charges with it and a controller counts anew; they must agree. Read Usage first.
package quota

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/dhow-project/dhow/internal/api"
)

// ofClass is between a storage class and what is counted of it.
const ofClass = ".storageclass.storage.k8s.io/"

func one() resource.Quantity { return *resource.NewQuantity(1, resource.DecimalSI) }

// CountName is the name under which quotas count the objects of a kind.
func CountName(k *api.Kind) corev1.ResourceName {
	if g := k.Hub().Group; g != "" {
		return corev1.ResourceName("count/" + k.Resource + "." + g)
	}
	return corev1.ResourceName("count/" + k.Resource)
}

// Usage is what an object of kind k counts against quotas (reference: Resource Quotas).
func Usage(k *api.Kind, o api.Object, now time.Time) corev1.ResourceList {
	out := corev1.ResourceList{CountName(k): one()}
	switch o := o.(type) {
	case *corev1.Pod:
		if Live(o, now) {
			pod(o, out)
		}
	case *corev1.Service:
		service(o, out)
	case *corev1.PersistentVolumeClaim:
		claim(o, out)
	case *corev1.ConfigMap, *corev1.Secret, *corev1.ReplicationController, *corev1.ResourceQuota:
		out[corev1.ResourceName(k.Resource)] = one()
	}
	return out
}

// Live is whether a pod has neither ended nor overstayed its deletion, as those on lost nodes do.
func Live(p *corev1.Pod, now time.Time) bool {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return false
	}
	at, ok := Overdue(p)
	return !ok || !now.After(at)
}

// Overdue is when a deleted pod no longer counts.
func Overdue(p *corev1.Pod) (time.Time, bool) {
	if p.DeletionTimestamp == nil || p.DeletionGracePeriodSeconds == nil {
		return time.Time{}, false
	}
	return p.DeletionTimestamp.Add(time.Duration(*p.DeletionGracePeriodSeconds) * time.Second), true
}

func pod(p *corev1.Pod, out corev1.ResourceList) {
	out[corev1.ResourcePods] = one()
	o := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	for k, v := range resourcehelper.PodRequests(p, o) {
		out["requests."+k] = v
		if bare(k) {
			out[k] = v
		}
	}
	for k, v := range resourcehelper.PodLimits(p, o) {
		out["limits."+k] = v
	}
}

// bare resources are counted without "requests." too.
func bare(k corev1.ResourceName) bool {
	return k == corev1.ResourceCPU || k == corev1.ResourceMemory || k == corev1.ResourceEphemeralStorage || strings.HasPrefix(string(k), corev1.ResourceHugePagesPrefix)
}

func service(s *corev1.Service, out corev1.ResourceList) {
	out[corev1.ResourceServices] = one()
	balanced := s.Spec.Type == corev1.ServiceTypeLoadBalancer
	if balanced {
		out[corev1.ResourceServicesLoadBalancers] = one()
	} else if s.Spec.Type != corev1.ServiceTypeNodePort {
		return
	}
	// Ports that are yet to be allocated count: what is wanted decides.
	n, all := int64(0), !balanced || s.Spec.AllocateLoadBalancerNodePorts == nil || *s.Spec.AllocateLoadBalancerNodePorts
	for i := range s.Spec.Ports {
		if all || s.Spec.Ports[i].NodePort != 0 {
			n++
		}
	}
	out[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(n, resource.DecimalSI)
}

func claim(c *corev1.PersistentVolumeClaim, out corev1.ResourceList) {
	out[corev1.ResourcePersistentVolumeClaims] = one()
	class := c.Annotations[corev1.BetaStorageClassAnnotation]
	if class == "" && c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	if class != "" {
		out[corev1.ResourceName(class+ofClass)+corev1.ResourcePersistentVolumeClaims] = one()
	}
	size, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return
	}
	if got, ok := c.Status.AllocatedResources[corev1.ResourceStorage]; ok && got.Cmp(size) > 0 {
		size = got // it is being resized
	}
	size = size.DeepCopy()
	size.RoundUp(0)
	out[corev1.ResourceRequestsStorage] = size
	if class != "" {
		out[corev1.ResourceName(class+ofClass)+corev1.ResourceRequestsStorage] = size
	}
}

// Equal is whether two usages are the same amounts.
func Equal(a, b corev1.ResourceList) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v.Cmp(w) != 0 {
			return false
		}
	}
	return true
}
