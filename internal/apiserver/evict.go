package apiserver

import (
	"fmt"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// evict deletes a pod unless a disruption budget forbids it (KEP-85, policy/v1).
func (s *Server) evict(c *call, ev *policyv1.Eviction) (runtime.Object, error) {
	if ev.Name != "" && ev.Name != c.name {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("name in URL does not match name in Eviction object: %q / %q", c.name, ev.Name))
	}
	e, err := s.get(c, "")
	if err != nil {
		return nil, err
	}
	d := ev.DeleteOptions
	if d == nil {
		d = &metav1.DeleteOptions{}
	}
	if err := c.setDryRun(d.DryRun); err != nil {
		return nil, err
	}
	if err := s.admit(s.bodyWrite(c, ev)); err != nil {
		return nil, err
	}
	del := *c
	del.sub, del.subresource, del.inner = nil, "", true
	pod := e.Obj.(*corev1.Pod)
	if !ignoresBudget(pod) {
		if err := s.spend(&del, pod); err != nil {
			return nil, err
		}
	}
	if err := s.disrupted(&del); err != nil {
		return nil, err
	}
	if _, _, err := s.delete(&del, d); err != nil {
		return nil, err
	}
	return success(), nil
}

// disrupted says in the pod's status why it goes: Jobs need not count it as a failure (KEP-3329).
func (s *Server) disrupted(c *call) error {
	pc := &call{ctx: c.ctx, user: c.user, kind: c.kind, namespace: c.namespace, name: c.name, trusted: true, inner: true, dryRun: c.dryRun, manager: "dhow"}
	pc.sub, pc.subresource = subresource(c.kind, 0, "status"), "status"
	if pc.sub == nil {
		return nil
	}
	_, _, err := s.modify(pc, false, func(old api.Object) (api.Object, bool, error) {
		pod := old.DeepCopyObject().(*corev1.Pod)
		pod.Status.Conditions = slices.DeleteFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget })
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
			ObservedGeneration: pod.Generation, LastTransitionTime: s.now(),
		})
		return pod, false, nil
	})
	return err
}

// ignoresBudget: pods that have ended, wait to be scheduled or are on their way out count for nobody.
func ignoresBudget(pod *corev1.Pod) bool {
	switch pod.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed, corev1.PodPending:
		return true
	}
	return pod.DeletionTimestamp != nil
}

// spend takes one disruption from the budget that covers the pod.
func (s *Server) spend(c *call, pod *corev1.Pod) error {
	k := s.Registry.Resource(schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudgets"})
	if k == nil {
		return nil
	}
	var budgets []*policyv1.PodDisruptionBudget
	s.cache.Each(k, pod.Namespace, func(o api.Object) bool {
		b := o.(*policyv1.PodDisruptionBudget)
		if sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && sel.Matches(labels.Set(pod.Labels)) {
			budgets = append(budgets, b)
		}
		return true
	})
	switch len(budgets) {
	case 0:
		return nil
	case 1:
	default:
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}}
	}
	if healthyIsFree(pod, budgets[0]) {
		return nil
	}
	bc := &call{ctx: c.ctx, user: c.user, kind: k, namespace: pod.Namespace, name: budgets[0].Name, trusted: true, inner: true, dryRun: c.dryRun, manager: "dhow"}
	bc.sub, bc.subresource = subresource(k, 0, "status"), "status"
	_, _, err := s.modify(bc, false, func(old api.Object) (api.Object, bool, error) {
		b := old.DeepCopyObject().(*policyv1.PodDisruptionBudget)
		if b.Status.ObservedGeneration < b.Generation {
			return nil, false, tooMany(b, "Cannot evict pod as it would violate the pod's disruption budget.",
				fmt.Sprintf("The disruption budget %s is still being processed by the server.", b.Name), 10)
		}
		if b.Status.DisruptionsAllowed <= 0 {
			return nil, false, tooMany(b, "Cannot evict pod as it would violate the pod's disruption budget.",
				fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy), 0)
		}
		b.Status.DisruptionsAllowed--
		if b.Status.DisruptedPods == nil {
			b.Status.DisruptedPods = map[string]metav1.Time{}
		}
		b.Status.DisruptedPods[pod.Name] = s.now()
		return b, false, nil
	})
	return err
}

// healthyIsFree: an unhealthy pod may go when its budget says so, or when enough others are healthy.
func healthyIsFree(pod *corev1.Pod, b *policyv1.PodDisruptionBudget) bool {
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodReady && cond.Status == corev1.ConditionTrue {
			return false
		}
	}
	if p := b.Spec.UnhealthyPodEvictionPolicy; p != nil && *p == policyv1.AlwaysAllow {
		return true
	}
	return b.Status.CurrentHealthy >= b.Status.DesiredHealthy && b.Status.DesiredHealthy > 0
}

func tooMany(b *policyv1.PodDisruptionBudget, msg, cause string, retry int) error {
	err := apierrors.NewTooManyRequests(msg, retry)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: cause})
	return err
}
