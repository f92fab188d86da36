// Package job runs Jobs to their completion.
//
// Every pod is counted exactly once, although the controller may die between
// any two writes: a pod keeps a finalizer until the status remembers it (KEP-2307).
// plan.go decides, job.go does. Read plan.go first.
package job

import (
	"cmp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/controller"
)

// plan is one look at a job: first the status is written, then pods are let go, made and deleted.
//
//	pod ends ──► its UID in status.uncountedTerminatedPods ──► finalizer off ──► UID off, number up
type plan struct {
	status  batchv1.JobStatus
	release []*corev1.Pod // take the finalizer off
	create  []int         // indexes, or -1
	delete  []*corev1.Pod
	again   time.Time // look again then; zero: at the next event
}

type state struct {
	j       *batchv1.Job
	pods    []*corev1.Pod
	now     time.Time
	plan    plan
	done    indexes // completed
	lost    indexes // failed for good, with backoffLimitPerIndex
	active  []*corev1.Pod
	leaving int // being deleted, not ended
	fail    *batchv1.JobCondition
}

func (s *state) status() *batchv1.JobStatus { return &s.plan.status }

func decide(j *batchv1.Job, pods []*corev1.Pod, now time.Time) plan {
	s := &state{j: j, pods: pods, now: now, plan: plan{status: *j.Status.DeepCopy()}}
	if has(j.Status.Conditions, batchv1.JobComplete) || has(j.Status.Conditions, batchv1.JobFailed) {
		s.count()
		s.plan.release = filter(pods, tracked)
		return s.plan
	}
	s.done, s.lost = parseIndexes(j.Status.CompletedIndexes), indexes{}
	if j.Status.FailedIndexes != nil {
		s.lost = parseIndexes(*j.Status.FailedIndexes)
	}
	s.start()
	s.count()
	s.look()
	s.conclude()
	if !s.finish() {
		s.work()
	}
	return s.plan
}

func has(in []batchv1.JobCondition, t batchv1.JobConditionType) bool { return find(in, t) != nil }

func find(in []batchv1.JobCondition, t batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range in {
		if in[i].Type == t && in[i].Status == corev1.ConditionTrue {
			return &in[i]
		}
	}
	return nil
}

func filter(in []*corev1.Pod, keep func(*corev1.Pod) bool) (out []*corev1.Pod) {
	for _, p := range in {
		if keep(p) {
			out = append(out, p)
		}
	}
	return out
}

func suspended(j *batchv1.Job) bool { return j.Spec.Suspend != nil && *j.Spec.Suspend }

// start keeps the start time and the condition Suspended.
func (s *state) start() {
	st, at := s.status(), metav1.NewTime(s.now)
	i := slices.IndexFunc(st.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobSuspended })
	was := i >= 0 && st.Conditions[i].Status == corev1.ConditionTrue
	c := batchv1.JobCondition{Type: batchv1.JobSuspended, Status: corev1.ConditionTrue, Reason: "JobSuspended", Message: "Job suspended", LastProbeTime: at, LastTransitionTime: at}
	switch {
	case suspended(s.j) && !was:
		st.StartTime = nil
	case !suspended(s.j) && was:
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "JobResumed", "Job resumed"
		st.StartTime = &at
	default:
		if st.StartTime == nil && !suspended(s.j) {
			st.StartTime = &at
		}
		return
	}
	if i < 0 {
		st.Conditions = append(st.Conditions, c)
		return
	}
	st.Conditions[i] = c
}

// count moves the pods whose finalizer is off from the list to the numbers.
func (s *state) count() {
	st := s.status()
	if st.UncountedTerminatedPods == nil {
		st.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	have, u := uids(s.pods), st.UncountedTerminatedPods
	left := u.Succeeded[:0:0]
	for _, id := range u.Succeeded {
		if p := have[id]; p != nil && tracked(p) {
			left = append(left, id)
			s.plan.release = append(s.plan.release, p)
			continue
		}
		st.Succeeded++
	}
	u.Succeeded = left
	left = u.Failed[:0:0]
	for _, id := range u.Failed {
		if p := have[id]; p != nil && tracked(p) {
			left = append(left, id)
			s.plan.release = append(s.plan.release, p)
			continue
		}
		st.Failed++
	}
	u.Failed = left
}

// look sorts the pods and puts those that ended on the list.
func (s *state) look() {
	st := s.status()
	u := st.UncountedTerminatedPods
	ready := int32(0)
	for _, p := range s.pods {
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			s.succeeded(p, u)
		case failed(s.j, p):
			if p.Status.Phase != corev1.PodFailed {
				s.leaving++
			}
			s.failedPod(p, u)
		case p.DeletionTimestamp != nil:
			s.leaving++
		default:
			s.active = append(s.active, p)
			if controller.PodReady(p) {
				ready++
			}
		}
	}
	leaving := int32(s.leaving)
	st.Active, st.Ready, st.Terminating = int32(len(s.active)), &ready, &leaving
	if isIndexed(s.j) {
		st.CompletedIndexes, st.Succeeded = s.done.String(), int32(len(s.done))
		if s.j.Spec.BackoffLimitPerIndex != nil {
			lost := s.lost.String()
			st.FailedIndexes = &lost
		}
	}
}

func (s *state) succeeded(p *corev1.Pod, u *batchv1.UncountedTerminatedPods) {
	if !tracked(p) {
		return
	}
	if !isIndexed(s.j) {
		if !slices.Contains(u.Succeeded, p.UID) {
			u.Succeeded = append(u.Succeeded, p.UID)
			s.plan.release = append(s.plan.release, p)
		}
		return
	}
	if i, ok := indexOf(p); ok && i < int(*s.j.Spec.Completions) {
		s.done[i] = true // the set itself remembers who was counted
	}
	s.plan.release = append(s.plan.release, p)
}

func (s *state) failedPod(p *corev1.Pod, u *batchv1.UncountedTerminatedPods) {
	if !tracked(p) || slices.Contains(u.Failed, p.UID) {
		return
	}
	action, why := onFailure(s.j, p)
	if action == batchv1.PodFailurePolicyActionFailJob && s.fail == nil {
		s.fail = &batchv1.JobCondition{Reason: batchv1.JobReasonPodFailurePolicy, Message: why}
	}
	s.plan.release = append(s.plan.release, p)
	if action == batchv1.PodFailurePolicyActionIgnore {
		return
	}
	u.Failed = append(u.Failed, p.UID)
	if limit := s.j.Spec.BackoffLimitPerIndex; limit != nil {
		if i, ok := indexOf(p); ok && (action == batchv1.PodFailurePolicyActionFailIndex || failuresOf(s.pods, i) > int(*limit)) {
			s.lost[i] = true
		}
	}
}

func (s *state) successes() int32 {
	st := s.status()
	if isIndexed(s.j) {
		return int32(len(s.done))
	}
	return st.Succeeded + int32(len(st.UncountedTerminatedPods.Succeeded))
}

func (s *state) failures() int32 {
	st := s.status()
	return st.Failed + int32(len(st.UncountedTerminatedPods.Failed))
}

// work makes or deletes pods to have as many active as wanted.
func (s *state) work() {
	j := s.j
	switch {
	case j.DeletionTimestamp != nil:
		return
	case suspended(j):
		s.plan.delete = s.active
		return
	}
	want := int(*j.Spec.Parallelism)
	switch {
	case j.Spec.Completions == nil && s.successes() > 0:
		want = min(want, len(s.active))
	case isIndexed(j):
		want = min(want, int(*j.Spec.Completions)-len(s.done)-len(s.lost))
	case j.Spec.Completions != nil:
		want = min(want, int(*j.Spec.Completions-s.successes()))
	}
	if extra := len(s.active) - max(0, want); extra > 0 {
		s.plan.delete = leastUseful(s.active)[:extra]
		return
	}
	n := want - len(s.active)
	if onlyFailed(j) {
		n -= s.leaving
	}
	if n <= 0 {
		return
	}
	if at := backoff(j, s.pods); at.After(s.now) {
		s.again(at)
		return
	}
	s.plan.create = s.pick(min(n, 500))
}

// pick chooses the lowest free indexes.
func (s *state) pick(n int) []int {
	out := make([]int, 0, n)
	if !isIndexed(s.j) {
		for range n {
			out = append(out, -1)
		}
		return out
	}
	busy := indexes{}
	for _, p := range s.pods {
		if i, ok := indexOf(p); ok && !controller.PodFinished(p) && (p.DeletionTimestamp == nil || onlyFailed(s.j)) {
			busy[i] = true
		}
	}
	for i := 0; i < int(*s.j.Spec.Completions) && len(out) < n; i++ {
		if !busy[i] && !s.done[i] && !s.lost[i] {
			out = append(out, i)
		}
	}
	return out
}

func leastUseful(in []*corev1.Pod) []*corev1.Pod {
	out := slices.Clone(in)
	rank := func(p *corev1.Pod) int {
		switch {
		case p.Spec.NodeName == "":
			return 0
		case p.Status.Phase == corev1.PodPending:
			return 1
		case !controller.PodReady(p):
			return 2
		}
		return 3
	}
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
	return out
}

func (s *state) again(at time.Time) {
	if s.plan.again.IsZero() || at.Before(s.plan.again) {
		s.plan.again = at
	}
}
