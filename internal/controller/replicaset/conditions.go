package replicaset

import (
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conditions keeps ReplicaFailure while creating (diff < 0) or deleting fails.
func conditions(have []appsv1.ReplicaSetCondition, failure error, diff int, now time.Time) []appsv1.ReplicaSetCondition {
	is := func(c appsv1.ReplicaSetCondition) bool { return c.Type == appsv1.ReplicaSetReplicaFailure }
	i := slices.IndexFunc(have, is)
	if failure == nil {
		return slices.DeleteFunc(have, is)
	}
	reason := "FailedCreate"
	if diff > 0 {
		reason = "FailedDelete"
	}
	c := appsv1.ReplicaSetCondition{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now), Reason: reason, Message: failure.Error(),
	}
	if i < 0 {
		return append(have, c)
	}
	if have[i].Reason != reason {
		have[i] = c
	}
	return have
}
