package deployment

import (
	"fmt"
	"math"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reasons of the condition Progressing that kubectl and others read.
const (
	reasonCreated     = "NewReplicaSetCreated"
	reasonCreateError = "ReplicaSetCreateError"
	reasonFound       = "FoundNewReplicaSet"
	reasonUpdated     = "ReplicaSetUpdated"
	reasonAvailable   = "NewReplicaSetAvailable"
	reasonTimedOut    = "ProgressDeadlineExceeded"
	reasonPaused      = "DeploymentPaused"
	reasonResumed     = "DeploymentResumed"
)

func condition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	i := slices.IndexFunc(s.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == t })
	if i < 0 {
		return nil
	}
	return &s.Conditions[i]
}

func drop(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}

// setCondition changes nothing when status and reason are as they were.
func setCondition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string, now time.Time) {
	at := metav1.NewTime(now)
	c := appsv1.DeploymentCondition{Type: t, Status: status, Reason: reason, Message: message, LastUpdateTime: at, LastTransitionTime: at}
	if had := condition(s, t); had != nil {
		if had.Status == status && had.Reason == reason {
			return
		}
		if had.Status == status {
			c.LastTransitionTime = had.LastTransitionTime
		}
	}
	drop(s, t)
	s.Conditions = append(s.Conditions, c)
}

func hasDeadline(d *appsv1.Deployment) bool {
	return d.Spec.ProgressDeadlineSeconds != nil && *d.Spec.ProgressDeadlineSeconds != math.MaxInt32
}

// count is d's status without the condition Progressing looked at.
func count(d *appsv1.Deployment, s sets, now time.Time) appsv1.DeploymentStatus {
	all := s.all()
	out := *d.Status.DeepCopy()
	out.ObservedGeneration = d.Generation
	out.Replicas, out.ReadyReplicas, out.UpdatedReplicas = 0, 0, 0
	for _, rs := range all {
		out.Replicas += rs.Status.Replicas
		out.ReadyReplicas += rs.Status.ReadyReplicas
	}
	if s.new != nil {
		out.UpdatedReplicas = s.new.Status.Replicas
	}
	out.AvailableReplicas = available(all)
	out.UnavailableReplicas = max(0, wanted(all)-out.AvailableReplicas)
	_, unavailable := fences(d)
	if out.AvailableReplicas >= *d.Spec.Replicas-unavailable {
		setCondition(&out, appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
	} else {
		setCondition(&out, appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now)
	}
	return out
}

// rolloutStatus is count and how the rollout gets on.
func rolloutStatus(d *appsv1.Deployment, s sets, now time.Time) appsv1.DeploymentStatus {
	out := count(d, s, now)
	name := fmt.Sprintf("Deployment %q", d.Name)
	if s.new != nil {
		name = fmt.Sprintf("ReplicaSet %q", s.new.Name)
	}
	had := condition(&d.Status, appsv1.DeploymentProgressing)
	done := out.Replicas == out.UpdatedReplicas && had != nil && had.Reason == reasonAvailable
	switch {
	case !hasDeadline(d):
		drop(&out, appsv1.DeploymentProgressing)
	case done:
	case complete(d, &out):
		setCondition(&out, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonAvailable, name+" has successfully progressed.", now)
	case progressed(&d.Status, &out):
		drop(&out, appsv1.DeploymentProgressing) // its time of update moves even when nothing else does
		setCondition(&out, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonUpdated, name+" is progressing.", now)
		if had != nil && had.Status == corev1.ConditionTrue {
			condition(&out, appsv1.DeploymentProgressing).LastTransitionTime = had.LastTransitionTime
		}
	case timedOut(d, &out, now):
		setCondition(&out, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, name+" has timed out progressing.", now)
	}
	failures(&out, s, now)
	return out
}

func progressed(old, s *appsv1.DeploymentStatus) bool {
	return s.UpdatedReplicas > old.UpdatedReplicas || s.Replicas-s.UpdatedReplicas < old.Replicas-old.UpdatedReplicas ||
		s.ReadyReplicas > old.ReadyReplicas || s.AvailableReplicas > old.AvailableReplicas
}

func timedOut(d *appsv1.Deployment, s *appsv1.DeploymentStatus, now time.Time) bool {
	c := condition(s, appsv1.DeploymentProgressing)
	switch {
	case c == nil || c.Reason == reasonAvailable:
		return false
	case c.Reason == reasonTimedOut:
		return true
	}
	return now.After(c.LastUpdateTime.Add(deadline(d)))
}

func deadline(d *appsv1.Deployment) time.Duration {
	return time.Duration(*d.Spec.ProgressDeadlineSeconds) * time.Second
}

// lookAgain is when a rollout without progress will have timed out; 0 when it cannot.
func lookAgain(d *appsv1.Deployment, s *appsv1.DeploymentStatus, now time.Time) time.Duration {
	c := condition(s, appsv1.DeploymentProgressing)
	if !hasDeadline(d) || c == nil || complete(d, s) || c.Reason == reasonTimedOut || d.Spec.Paused {
		return 0
	}
	return max(0, c.LastUpdateTime.Add(deadline(d)).Sub(now)) + time.Second
}

// failures copies what keeps the sets from making pods.
func failures(out *appsv1.DeploymentStatus, s sets, now time.Time) {
	look := active(s.old)
	if s.new != nil {
		look = append([]*appsv1.ReplicaSet{s.new}, look...)
	}
	for _, rs := range look {
		for _, c := range rs.Status.Conditions {
			if c.Type == appsv1.ReplicaSetReplicaFailure {
				setCondition(out, appsv1.DeploymentReplicaFailure, c.Status, c.Reason, c.Message, now)
				return
			}
		}
	}
	drop(out, appsv1.DeploymentReplicaFailure)
}

// pausedStatus notes that d was paused or resumed.
func pausedStatus(d *appsv1.Deployment, now time.Time) (appsv1.DeploymentStatus, bool) {
	out := *d.Status.DeepCopy()
	c := condition(&out, appsv1.DeploymentProgressing)
	paused := c != nil && c.Reason == reasonPaused
	switch {
	case !hasDeadline(d) || c != nil && c.Reason == reasonTimedOut || paused == d.Spec.Paused:
		return out, false
	case d.Spec.Paused:
		setCondition(&out, appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonPaused, "Deployment is paused", now)
	default:
		setCondition(&out, appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonResumed, "Deployment is resumed", now)
	}
	return out, true
}
