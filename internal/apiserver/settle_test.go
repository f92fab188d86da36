package apiserver

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTimesAreCut(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	second, micro := metav1.NewTime(at.Truncate(time.Second)), at.Truncate(time.Microsecond)
	fine := metav1.NewTime(at)
	var cut times

	job := &batchv1.Job{Status: batchv1.JobStatus{StartTime: &fine, Conditions: []batchv1.JobCondition{{LastTransitionTime: fine}}}}
	cut.cut(job)
	if !job.Status.StartTime.Equal(&second) || !job.Status.Conditions[0].LastTransitionTime.Equal(&second) {
		t.Errorf("job: %v", job.Status)
	}
	renewed := metav1.NewMicroTime(at)
	lease := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}}
	cut.cut(lease)
	if !lease.Spec.RenewTime.Time.Equal(micro) {
		t.Errorf("lease: %v", lease.Spec.RenewTime)
	}
	cut.cut(&corev1.Pod{})
}

func BenchmarkCutTimes(b *testing.B) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 3)}}
	pod.Status.Conditions = make([]corev1.PodCondition, 5)
	pod.Status.ContainerStatuses = make([]corev1.ContainerStatus, 3)
	var cut times
	b.ReportAllocs()
	for b.Loop() {
		cut.cut(pod)
	}
}
