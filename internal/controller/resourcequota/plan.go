// Package resourcequota keeps the status of ResourceQuotas true: admission
// charges what is made, this counts anew what there is.
//
// plan.go counts, resourcequota.go says when. Read plan.go first.
package resourcequota

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/quota"
)

// objects are those of one kind in one namespace.
type objects struct {
	kind *api.Kind
	list func(namespace string) []api.Object
	seen func() bool // list knows all there are
}

// count is the status q should have, and when a deleted pod will have stopped to count.
func count(q *corev1.ResourceQuota, all []objects, now time.Time) (s corev1.ResourceQuotaStatus, again time.Time) {
	s = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard.DeepCopy(), Used: corev1.ResourceList{}}
	counted := map[corev1.ResourceName]bool{}
	for _, o := range all {
		counted[quota.CountName(o.kind)] = true
	}
	for name := range q.Spec.Hard {
		s.Used[name] = resource.Quantity{Format: resource.DecimalSI}
		if had, ok := q.Status.Used[name]; ok && strings.HasPrefix(string(name), "count/") && !counted[name] {
			s.Used[name] = had // not of a kind that can be looked at here
		}
	}
	for _, o := range all {
		if !concerns(q.Spec.Hard, o.kind) {
			continue
		}
		for _, obj := range o.list(q.Namespace) {
			if !quota.InScope(q, obj) {
				continue
			}
			add(s.Used, quota.Usage(o.kind, obj, now))
			if p, ok := obj.(*corev1.Pod); ok && quota.Live(p, now) {
				if at, ok := quota.Overdue(p); ok && (again.IsZero() || at.Before(again)) {
					again = at
				}
			}
		}
	}
	return s, again
}

// add counts what is limited.
func add(used, more corev1.ResourceList) {
	for name, q := range more {
		if sum, ok := used[name]; ok {
			sum.Add(q)
			used[name] = sum
		}
	}
}

// concerns is whether objects of a kind could count; for pods and claims that depends on what they ask for.
func concerns(hard corev1.ResourceList, k *api.Kind) bool {
	if _, ok := hard[quota.CountName(k)]; ok {
		return true
	}
	if k.Hub().Group != "" {
		return false
	}
	for name := range hard {
		n := string(name)
		switch k.Resource {
		case "pods":
			if !strings.HasPrefix(n, "count/") && !strings.Contains(n, ".storageclass.") {
				return true
			}
		case "persistentvolumeclaims":
			if strings.HasSuffix(n, k.Resource) || strings.HasSuffix(n, "requests.storage") {
				return true
			}
		case "services":
			if strings.HasPrefix(n, k.Resource) {
				return true
			}
		default:
			if n == k.Resource {
				return true
			}
		}
	}
	return false
}

// frees is whether a change of an object, or its end, changes what it counts against q.
func frees(q *corev1.ResourceQuota, k *api.Kind, old, obj api.Object, now time.Time) bool {
	if !concerns(q.Spec.Hard, k) {
		return false
	}
	if obj == nil {
		return quota.InScope(q, old)
	}
	if p, ok := obj.(*corev1.Pod); ok && p.DeletionTimestamp != nil && old.GetDeletionTimestamp() == nil {
		return true // it may overstay
	}
	return quota.InScope(q, old) != quota.InScope(q, obj) || !quota.Equal(quota.Usage(k, old, now), quota.Usage(k, obj, now))
}

// countable are the kinds whose objects quotas count.
func countable(k *api.Kind) bool {
	can := func(verb string) bool { return k.Verbs == nil || slices.Contains(k.Verbs, verb) }
	return k.Namespaced && !k.Virtual && k.Kind != "Event" && can("list") && can("watch") && can("create")
}
