package job

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conclude sets SuccessCriteriaMet or FailureTarget once it is clear how the job ends.
func (s *state) conclude() {
	st := s.status()
	if has(st.Conditions, batchv1.JobSuccessCriteriaMet) || has(st.Conditions, batchv1.JobFailureTarget) {
		return
	}
	if why, ok := succeeds(s.j, s.done); ok {
		s.set(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonSuccessPolicy, why)
		return
	}
	if c := s.fail; c != nil {
		s.set(batchv1.JobFailureTarget, c.Reason, c.Message)
		return
	}
	if reason, why := s.failure(); reason != "" {
		s.set(batchv1.JobFailureTarget, reason, why)
		return
	}
	if s.complete() {
		s.set(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods")
	}
}

func (s *state) complete() bool {
	switch {
	case s.j.Spec.Completions != nil:
		return s.successes() >= *s.j.Spec.Completions
	default:
		return s.successes() > 0 && len(s.active) == 0 && s.leaving == 0
	}
}

// failure is why the job cannot succeed any more.
func (s *state) failure() (reason, message string) {
	spec := &s.j.Spec
	limit := int32(6)
	if spec.BackoffLimit != nil {
		limit = *spec.BackoffLimit
	}
	if s.failures() > limit || s.restarted(limit) {
		return batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"
	}
	if spec.ActiveDeadlineSeconds != nil && s.status().StartTime != nil && !suspended(s.j) {
		at := s.status().StartTime.Add(time.Duration(*spec.ActiveDeadlineSeconds) * time.Second)
		if !at.After(s.now) {
			return batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline"
		}
		s.again(at)
	}
	if spec.BackoffLimitPerIndex == nil {
		return "", ""
	}
	switch {
	case spec.MaxFailedIndexes != nil && len(s.lost) > int(*spec.MaxFailedIndexes):
		return batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes"
	case len(s.lost) > 0 && len(s.lost)+len(s.done) >= int(*spec.Completions):
		return batchv1.JobReasonFailedIndexes, "Job has failed indexes"
	}
	return "", ""
}

// restarted is whether containers that restart in place have used up the limit.
func (s *state) restarted(limit int32) bool {
	if s.j.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	n := int32(0)
	for _, p := range s.active {
		for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
			for _, c := range list {
				n += c.RestartCount
			}
		}
	}
	if limit == 0 {
		return n > 0
	}
	return n >= limit
}

// finish ends a concluded job: its pods are deleted, and when all have ended and been counted it is Complete or Failed.
func (s *state) finish() bool {
	st := s.status()
	met, target := find(st.Conditions, batchv1.JobSuccessCriteriaMet), find(st.Conditions, batchv1.JobFailureTarget)
	if met == nil && target == nil {
		return false
	}
	s.plan.delete, s.plan.again = s.active, time.Time{}
	if len(s.active) > 0 || s.leaving > 0 || len(st.UncountedTerminatedPods.Succeeded)+len(st.UncountedTerminatedPods.Failed) > 0 {
		return true
	}
	if st.StartTime == nil { // suspended from the first; what finished has started
		at := metav1.NewTime(s.now)
		st.StartTime = &at
	}
	if target != nil {
		s.set(batchv1.JobFailed, target.Reason, target.Message)
		return true
	}
	s.set(batchv1.JobComplete, met.Reason, met.Message)
	at := metav1.NewTime(s.now)
	st.CompletionTime = &at
	return true
}

func (s *state) set(t batchv1.JobConditionType, reason, message string) {
	at := metav1.NewTime(s.now)
	s.status().Conditions = append(s.status().Conditions, batchv1.JobCondition{
		Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastProbeTime: at, LastTransitionTime: at,
	})
}
