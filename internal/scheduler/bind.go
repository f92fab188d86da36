package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// binder tells the API server about decisions, one at a time.
func (s *Scheduler) binder(ctx context.Context) error {
	for {
		select {
		case it := <-s.bind:
			s.bindOne(ctx, it)
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Scheduler) bindOne(ctx context.Context, it *item) {
	pod := it.pod.Object
	_, err := s.pods.Post(ctx, pod.Namespace, pod.Name, "binding", &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: it.target},
	})
	switch {
	case err == nil:
		s.Recorder.Event(pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, it.target)
	case ctx.Err() != nil:
	default:
		s.later(func() { s.unbound(it, fmt.Errorf("binding rejected: %w", err)) })
	}
}

// unbound takes back a decision that could not be carried out.
func (s *Scheduler) unbound(it *item, err error) {
	pod := it.pod.Object
	s.state.Remove(pod.UID)
	s.waiting.drop(pod.UID)
	current, ok := s.podCache.Get(pod.Namespace, pod.Name)
	switch {
	case !ok || current.UID != pod.UID || apierrors.IsNotFound(err):
		return
	case current.Spec.NodeName != "":
		s.podChanged(nil, current)
		return
	}
	s.Log.Warn("bind pod", "namespace", pod.Namespace, "pod", pod.Name, "node", it.target, "error", err)
	s.Recorder.Event(pod, corev1.EventTypeWarning, "FailedScheduling", "%v", err)
	s.queue.again(it, time.Now())
}

// refused parks a pod that fits nowhere, says why, and makes room for it if its priority allows.
func (s *Scheduler) refused(ctx context.Context, it *item, d decision) {
	message := d.message()
	var room *sacrifice
	if d.total > 0 {
		var why string
		if room, why = preempt(s.state, it.pod, d); why != "" {
			message += " " + why
		}
	}
	s.queue.park(it, time.Now())
	switch {
	case room != nil:
		it.ready = time.Time{} // first in line when the victims are gone
	case d.never != "":
		it.ready, it.claims = time.Time{}, true // what it waits for is known
	}
	if known := it.said == d.never && d.never != ""; known {
		return // each change of any volume brings it here
	}
	it.said = d.never
	pod := it.pod.Object
	s.group.Go("report", func(ctx context.Context) error {
		s.report(ctx, pod, message, room)
		return nil
	})
}

// report writes what the loop found to the API: condition, event, nomination, victims.
func (s *Scheduler) report(ctx context.Context, pod *corev1.Pod, message string, room *sacrifice) {
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, ObservedGeneration: pod.Generation,
		Reason: corev1.PodReasonUnschedulable, Message: message,
		LastTransitionTime: metav1.Now(),
	}
	nominated := ""
	if room != nil {
		nominated = room.node
	}
	if !conditionHolds(pod, condition) || nominated != "" && pod.Status.NominatedNodeName != nominated {
		if err := s.patchStatus(ctx, pod, condition, nominated); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			s.Log.Warn("write pod condition", "namespace", pod.Namespace, "pod", pod.Name, "error", err)
		}
	}
	s.Recorder.Event(pod, corev1.EventTypeWarning, "FailedScheduling", "%s", message)
	if room != nil {
		s.evict(ctx, pod, room)
	}
}

func conditionHolds(pod *corev1.Pod, want corev1.PodCondition) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == want.Type {
			want.LastTransitionTime, want.LastProbeTime = c.LastTransitionTime, c.LastProbeTime
			return equality.Semantic.DeepEqual(c, want)
		}
	}
	return false
}

func (s *Scheduler) patchStatus(ctx context.Context, pod *corev1.Pod, c corev1.PodCondition, nominated string) error {
	status := map[string]any{"conditions": []corev1.PodCondition{c}}
	if nominated != "" {
		status["nominatedNodeName"] = nominated
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = s.pods.Patch(ctx, pod.Namespace, pod.Name, "status", types.StrategicMergePatchType, patch)
	return err
}

// evict deletes the victims, marked as disrupted (KEP-3329).
func (s *Scheduler) evict(ctx context.Context, pod *corev1.Pod, room *sacrifice) {
	for _, v := range room.victims {
		victim := v.Object
		if victim.DeletionTimestamp != nil {
			continue
		}
		err := s.patchStatus(ctx, victim, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, ObservedGeneration: victim.Generation,
			Reason: corev1.PodReasonPreemptionByScheduler, Message: Name + ": preempting to accommodate a higher priority pod",
			LastTransitionTime: metav1.Now(),
		}, "")
		if err == nil {
			err = s.pods.Delete(ctx, victim.Namespace, victim.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(victim.UID))})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			s.Log.Warn("preempt pod", "namespace", victim.Namespace, "pod", victim.Name, "error", err)
			continue
		}
		s.Recorder.Event(victim, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", pod.UID, room.node)
	}
}

// schedulingSame: the heartbeat of a node changes nothing that a rule looks at.
func schedulingSame(old, node *corev1.Node) bool {
	return old != nil && node != nil &&
		equality.Semantic.DeepEqual(old.Labels, node.Labels) &&
		equality.Semantic.DeepEqual(old.Spec, node.Spec) &&
		equality.Semantic.DeepEqual(old.Status.Allocatable, node.Status.Allocatable) &&
		equality.Semantic.DeepEqual(old.Status.Images, node.Status.Images)
}
