package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// defaultTolerations lets pods stay five minutes on a node that is lost, unless they say otherwise.
func defaultTolerations(_ context.Context, w *request.Write) error {
	p := podOf(w, request.Create, request.Update)
	if p == nil {
		return nil
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if slices.ContainsFunc(p.Spec.Tolerations, func(t corev1.Toleration) bool {
			return (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "")
		}) {
			continue
		}
		seconds := int64(300)
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
	return nil
}

// priority turns a pod's class into its number.
func (z *world) priority(_ context.Context, w *request.Write) error {
	p := podOf(w, request.Create, request.Update)
	if p == nil {
		return nil
	}
	if w.Operation == request.Update {
		old, ok := w.Old.(*corev1.Pod)
		if !ok {
			return errWrongType
		}
		// A client of before priorities sends a pod without; it keeps what it had.
		if p.Spec.Priority == nil {
			p.Spec.Priority = old.Spec.Priority
		}
		if p.Spec.PreemptionPolicy == nil {
			p.Spec.PreemptionPolicy = old.Spec.PreemptionPolicy
		}
		return nil
	}
	value, policy := int32(0), corev1.PreemptLowerPriority
	if p.Spec.PriorityClassName == "" {
		if c := z.defaultPriority(); c != nil {
			p.Spec.PriorityClassName, value, policy = c.Name, c.Value, policyOf(c)
		}
	} else {
		c, ok := find[*schedulingv1.PriorityClass](z, schedulingv1.GroupName, "priorityclasses", "", p.Spec.PriorityClassName)
		if !ok {
			c = systemPriority(p.Spec.PriorityClassName)
		}
		if c == nil {
			return forbidden(w, "no PriorityClass with name %v was found", p.Spec.PriorityClassName)
		}
		value, policy = c.Value, policyOf(c)
	}
	if p.Spec.Priority != nil && *p.Spec.Priority != value {
		return forbidden(w, "the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *p.Spec.Priority, value)
	}
	if p.Spec.PreemptionPolicy != nil && *p.Spec.PreemptionPolicy != policy {
		return forbidden(w, "the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *p.Spec.PreemptionPolicy, policy)
	}
	p.Spec.Priority, p.Spec.PreemptionPolicy = &value, &policy
	return nil
}

func policyOf(c *schedulingv1.PriorityClass) corev1.PreemptionPolicy {
	if c.PreemptionPolicy != nil {
		return *c.PreemptionPolicy
	}
	return corev1.PreemptLowerPriority
}

// defaultPriority is the class of pods that name none: of several defaults the lowest.
func (z *world) defaultPriority() (out *schedulingv1.PriorityClass) {
	for _, c := range all[*schedulingv1.PriorityClass](z, schedulingv1.GroupName, "priorityclasses", "") {
		if c.GlobalDefault && (out == nil || c.Value < out.Value) {
			out = c
		}
	}
	return out
}

// onePriorityDefault refuses a second default class.
func (z *world) onePriorityDefault(_ context.Context, w *request.Write) error {
	if !on(w, schedulingv1.GroupName, "priorityclasses", self, request.Create, request.Update) {
		return nil
	}
	c, ok := w.Object.(*schedulingv1.PriorityClass)
	if !ok || !c.GlobalDefault {
		return nil
	}
	for _, other := range all[*schedulingv1.PriorityClass](z, schedulingv1.GroupName, "priorityclasses", "") {
		if other.GlobalDefault && other.Name != c.Name {
			return forbidden(w, "PriorityClass %v is already marked as default. Only one default can exist", other.Name)
		}
	}
	return nil
}

// runtimeClass adds the overhead and the scheduling rules of a pod's RuntimeClass.
func (z *world) runtimeClass(_ context.Context, w *request.Write) error {
	p := podOf(w, request.Create)
	if p == nil || p.Spec.RuntimeClassName == nil {
		return nil
	}
	rc, ok := find[*nodev1.RuntimeClass](z, nodev1.GroupName, "runtimeclasses", "", *p.Spec.RuntimeClassName)
	if !ok {
		return forbidden(w, "pod rejected: RuntimeClass %q not found", *p.Spec.RuntimeClassName)
	}
	if rc.Overhead != nil {
		if p.Spec.Overhead != nil && !equality.Semantic.DeepEqual(p.Spec.Overhead, rc.Overhead.PodFixed) {
			return forbidden(w, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
		}
		p.Spec.Overhead = maps.Clone(rc.Overhead.PodFixed)
	}
	if rc.Scheduling == nil {
		return nil
	}
	for k, v := range rc.Scheduling.NodeSelector {
		if have, ok := p.Spec.NodeSelector[k]; ok && have != v {
			return forbidden(w, "conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", k, v, k, have)
		}
		if p.Spec.NodeSelector == nil {
			p.Spec.NodeSelector = map[string]string{}
		}
		p.Spec.NodeSelector[k] = v
	}
	for _, t := range rc.Scheduling.Tolerations {
		if !slices.ContainsFunc(p.Spec.Tolerations, func(h corev1.Toleration) bool { return equality.Semantic.DeepEqual(h, t) }) {
			p.Spec.Tolerations = append(p.Spec.Tolerations, t)
		}
	}
	return nil
}

// runtimeClassCheck refuses an overhead that no class asked for.
func (z *world) runtimeClassCheck(_ context.Context, w *request.Write) error {
	p := podOf(w, request.Create)
	if p == nil || len(p.Spec.Overhead) == 0 {
		return nil
	}
	if p.Spec.RuntimeClassName == nil {
		return forbidden(w, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
	}
	rc, ok := find[*nodev1.RuntimeClass](z, nodev1.GroupName, "runtimeclasses", "", *p.Spec.RuntimeClassName)
	if !ok || rc.Overhead == nil || !equality.Semantic.DeepEqual(rc.Overhead.PodFixed, p.Spec.Overhead) {
		return forbidden(w, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
	}
	return nil
}

// taintNode keeps pods off a new node until its lifecycle is known.
func taintNode(_ context.Context, w *request.Write) error {
	if !on(w, "", "nodes", self, request.Create) {
		return nil
	}
	n, ok := w.Object.(*corev1.Node)
	if !ok {
		return fmt.Errorf("taint node: %w", errWrongType)
	}
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	if !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
		n.Spec.Taints = append(n.Spec.Taints, taint)
	}
	return nil
}
