// Package disruption keeps the status of PodDisruptionBudgets, which evictions are measured against.
package disruption

import (
	"context"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// evictedFor is how long a pod whose eviction was allowed is taken for gone although it still is there.
const evictedFor = 2 * time.Minute

// Controller of PodDisruptionBudgets. Use New.
type Controller struct {
	*controller.Loop
	budgets     client.Cache[*policyv1.PodDisruptionBudget]
	pods        client.Cache[*corev1.Pod]
	deployments client.Cache[*appsv1.Deployment]
	sets        client.Cache[*appsv1.ReplicaSet]
	stateful    client.Cache[*appsv1.StatefulSet]
	rcs         client.Cache[*corev1.ReplicationController]
	api         client.Client[*policyv1.PodDisruptionBudget]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		budgets: client.CacheOf[*policyv1.PodDisruptionBudget](d.Caches), pods: client.CacheOf[*corev1.Pod](d.Caches),
		deployments: client.CacheOf[*appsv1.Deployment](d.Caches), sets: client.CacheOf[*appsv1.ReplicaSet](d.Caches),
		stateful: client.CacheOf[*appsv1.StatefulSet](d.Caches), rcs: client.CacheOf[*corev1.ReplicationController](d.Caches),
		api: client.For[*policyv1.PodDisruptionBudget](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "disruption-controller", c.sync)
	controller.Changed(c.Loop, c.budgets)
	c.pods.Subscribe(func(old, p *corev1.Pod) {
		for _, o := range []*corev1.Pod{old, p} {
			if o != nil {
				c.wake(o)
			}
		}
	})
	c.deployments.Subscribe(func(old, d *appsv1.Deployment) {
		if old == nil || d == nil || *old.Spec.Replicas == *d.Spec.Replicas {
			return
		}
		for _, b := range c.budgets.In(d.Namespace) {
			c.AddObject(b)
		}
	})
	return c
}

func (c *Controller) wake(p *corev1.Pod) {
	for _, b := range c.budgets.In(p.Namespace) {
		if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && s.Matches(labels.Set(p.Labels)) {
			c.AddObject(b)
		}
	}
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	b, ok := c.budgets.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	if err != nil {
		return fmt.Errorf("read selector: %w", err)
	}
	var pods []*corev1.Pod
	for _, p := range c.pods.In(key.Namespace) {
		if selector.Matches(labels.Set(p.Labels)) {
			pods = append(pods, p)
		}
	}
	expected, err := c.expected(b, pods)
	next := b.DeepCopy()
	again := decide(next, pods, expected, err, time.Now())
	if again > 0 {
		c.AddAfter(key, again)
	}
	if equality.Semantic.DeepEqual(b.Status, next.Status) {
		return nil
	}
	return controller.WriteStatus(ctx, c.api, next)
}

// expected is how many pods there should be: as their controllers want when that matters, else those there are.
func (c *Controller) expected(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod) (int, error) {
	if b.Spec.MaxUnavailable == nil && (b.Spec.MinAvailable == nil || b.Spec.MinAvailable.Type == intstr.Int) {
		return len(pods), nil
	}
	scales := map[types.UID]int32{}
	for _, p := range pods {
		ref := metav1.GetControllerOf(p)
		if ref == nil {
			return 0, fmt.Errorf("found no controller ref for pod %q", p.Name)
		}
		uid, n, ok := c.scale(p.Namespace, ref)
		if !ok {
			return 0, fmt.Errorf("%s %q of pod %q has no scale", ref.Kind, ref.Name, p.Name)
		}
		scales[uid] = n
	}
	total := 0
	for n := range maps.Values(scales) {
		total += int(n)
	}
	return total, nil
}

func (c *Controller) scale(ns string, ref *metav1.OwnerReference) (types.UID, int32, bool) {
	switch ref.Kind {
	case "ReplicaSet":
		rs, ok := c.sets.Get(ns, ref.Name)
		if !ok || rs.UID != ref.UID {
			return "", 0, false
		}
		if up := metav1.GetControllerOf(rs); up != nil && up.Kind == "Deployment" {
			if d, ok := c.deployments.Get(ns, up.Name); ok && d.UID == up.UID {
				return d.UID, *d.Spec.Replicas, true
			}
		}
		return rs.UID, *rs.Spec.Replicas, true
	case "StatefulSet":
		if s, ok := c.stateful.Get(ns, ref.Name); ok && s.UID == ref.UID {
			return s.UID, *s.Spec.Replicas, true
		}
	case "ReplicationController":
		if rc, ok := c.rcs.Get(ns, ref.Name); ok && rc.UID == ref.UID {
			return rc.UID, *rc.Spec.Replicas, true
		}
	}
	return "", 0, false
}

// decide writes b's status. failure: expected could not be found out, so nothing may be disrupted.
func decide(b *policyv1.PodDisruptionBudget, pods []*corev1.Pod, expected int, failure error, now time.Time) (again time.Duration) {
	s := &b.Status
	s.ObservedGeneration = b.Generation
	if failure != nil {
		s.DisruptionsAllowed = 0
		set(b, metav1.ConditionFalse, policyv1.SyncFailedReason, failure.Error(), now)
		return 0
	}
	disrupted := map[string]metav1.Time{}
	healthy := 0
	for _, p := range pods {
		at, was := s.DisruptedPods[p.Name]
		if was && p.DeletionTimestamp == nil && now.Before(at.Add(evictedFor)) {
			disrupted[p.Name] = at
			if left := at.Add(evictedFor).Sub(now); again == 0 || left < again {
				again = left
			}
			continue
		}
		if p.DeletionTimestamp == nil && controller.PodReady(p) {
			healthy++
		}
	}
	want := desired(b, expected)
	s.DisruptedPods, s.CurrentHealthy, s.DesiredHealthy, s.ExpectedPods = disrupted, int32(healthy), int32(want), int32(expected)
	if len(disrupted) == 0 {
		s.DisruptedPods = nil
	}
	s.DisruptionsAllowed = int32(max(0, healthy-want))
	if expected <= 0 {
		s.DisruptionsAllowed = 0
	}
	if s.DisruptionsAllowed > 0 {
		set(b, metav1.ConditionTrue, policyv1.SufficientPodsReason, "", now)
	} else {
		set(b, metav1.ConditionFalse, policyv1.InsufficientPodsReason, "", now)
	}
	return again
}

func desired(b *policyv1.PodDisruptionBudget, expected int) int {
	if m := b.Spec.MaxUnavailable; m != nil {
		n, err := intstr.GetScaledValueFromIntOrPercent(m, expected, true)
		if err != nil {
			return expected
		}
		return max(0, expected-n)
	}
	if b.Spec.MinAvailable == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, expected, true)
	if err != nil {
		return expected
	}
	return n
}

func set(b *policyv1.PodDisruptionBudget, status metav1.ConditionStatus, reason, message string, now time.Time) {
	meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: status, Reason: reason, Message: message,
		ObservedGeneration: b.Generation, LastTransitionTime: metav1.NewTime(now),
	})
}
