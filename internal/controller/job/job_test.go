package job

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func work(parallelism, completions int32, change func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "work", UID: "j"}}
	j.Spec.Parallelism, j.Spec.Completions = &parallelism, &completions
	j.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	change(j)
	return j
}

// end makes running pods end as f says; "" leaves one alone.
func end(r *test.Rig, f func(*corev1.Pod) corev1.PodPhase) {
	for _, p := range test.List[*corev1.Pod](r) {
		if phase := f(p); phase != "" && p.Status.Phase == "" {
			p = p.DeepCopy()
			p.Status.Phase = phase
			_, err := r.Update(r.Ctx, r.Registry().Kind(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind()), p, "status", metav1.UpdateOptions{})
			r.OK(err)
		}
	}
	r.Settle()
}

func always(p corev1.PodPhase) func(*corev1.Pod) corev1.PodPhase {
	return func(*corev1.Pod) corev1.PodPhase { return p }
}

func conditions(j *batchv1.Job) []string {
	out := []string{}
	for _, c := range j.Status.Conditions {
		out = append(out, string(c.Type)+" "+string(c.Status)+" "+c.Reason)
	}
	return out
}

func run(t *testing.T, j *batchv1.Job, f func(*test.Rig, func() *batchv1.Job)) {
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{j}, func(r *test.Rig) {
		f(r, func() *batchv1.Job { return test.Get[*batchv1.Job](r, "ns", "work") })
	})
}

func TestCompletes(t *testing.T) {
	run(t, work(2, 5, func(*batchv1.Job) {}), func(r *test.Rig, now func() *batchv1.Job) {
		for _, want := range []int32{2, 2, 1} {
			if got := now().Status.Active; got != want {
				t.Fatalf("%d active, want %d", got, want)
			}
			end(r, always(corev1.PodSucceeded))
		}
		j := now()
		if d := cmp.Diff([]string{"SuccessCriteriaMet True CompletionsReached", "Complete True CompletionsReached"}, conditions(j)); d != "" {
			t.Error(d)
		}
		if s := j.Status; s.Succeeded != 5 || s.Failed != 0 || s.Active != 0 || s.CompletionTime == nil || len(s.UncountedTerminatedPods.Succeeded) != 0 {
			t.Errorf("status %+v", s)
		}
		for _, p := range test.List[*corev1.Pod](r) {
			if tracked(p) {
				t.Errorf("%s keeps its finalizer", p.Name)
			}
		}
	})
}

func TestBackoffLimit(t *testing.T) {
	one := int32(1)
	run(t, work(1, 1, func(j *batchv1.Job) { j.Spec.BackoffLimit = &one }), func(r *test.Rig, now func() *batchv1.Job) {
		end(r, always(corev1.PodFailed))
		if now().Status.Active != 0 {
			t.Error("no back-off")
		}
		r.Pass(backoffFirst)
		r.Settle()
		end(r, always(corev1.PodFailed))
		if d := cmp.Diff([]string{"FailureTarget True BackoffLimitExceeded", "Failed True BackoffLimitExceeded"}, conditions(now())); d != "" {
			t.Error(d)
		}
		if now().Status.Failed != 2 {
			t.Errorf("status %+v", now().Status)
		}
	})
}

func TestIndexed(t *testing.T) {
	mode, limit := batchv1.IndexedCompletion, int32(0)
	run(t, work(4, 4, func(j *batchv1.Job) {
		j.Spec.CompletionMode, j.Spec.BackoffLimitPerIndex = &mode, &limit
		big := int32(99)
		j.Spec.BackoffLimit = &big
	}), func(r *test.Rig, now func() *batchv1.Job) {
		end(r, func(p *corev1.Pod) corev1.PodPhase {
			if i, _ := indexOf(p); i == 2 {
				return corev1.PodFailed
			}
			return corev1.PodSucceeded
		})
		j := now()
		if j.Status.CompletedIndexes != "0,1,3" || *j.Status.FailedIndexes != "2" || j.Status.Failed != 1 || j.Status.Succeeded != 3 {
			t.Errorf("status %+v", j.Status)
		}
		if d := cmp.Diff([]string{"FailureTarget True FailedIndexes", "Failed True FailedIndexes"}, conditions(j)); d != "" {
			t.Error(d)
		}
	})
}

func TestSuspendAndDeadline(t *testing.T) {
	yes, deadline := true, int64(60)
	run(t, work(2, 2, func(j *batchv1.Job) { j.Spec.Suspend, j.Spec.ActiveDeadlineSeconds = &yes, &deadline }), func(r *test.Rig, now func() *batchv1.Job) {
		if n := len(test.List[*corev1.Pod](r)); n != 0 || now().Status.StartTime != nil {
			t.Errorf("%d pods of a suspended job", n)
		}
		test.Change(r, "ns", "work", func(j *batchv1.Job) { *j.Spec.Suspend = false })
		if now().Status.Active != 2 {
			t.Errorf("status %+v", now().Status)
		}
		r.Pass(time.Minute)
		r.Settle()
		if d := cmp.Diff([]string{"Suspended False JobResumed", "FailureTarget True DeadlineExceeded", "Failed True DeadlineExceeded"}, conditions(now())); d != "" {
			t.Error(d)
		}
		if n := len(test.List[*corev1.Pod](r)); n != 0 {
			t.Errorf("%d pods left", n)
		}
	})
}

func TestPolicies(t *testing.T) {
	rule := batchv1.PodFailurePolicyRule{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42}}}
	j := work(1, 1, func(j *batchv1.Job) {
		j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{rule}}
	})
	p := newPod(j, -1, 0)
	p.Status.Phase = corev1.PodFailed
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 42}}}}
	got := decide(j, []*corev1.Pod{p}, time.Now())
	if c := find(got.status.Conditions, batchv1.JobFailureTarget); c == nil || c.Reason != "PodFailurePolicy" {
		t.Errorf("conditions %+v", got.status.Conditions)
	}
}

func TestIndexes(t *testing.T) {
	for _, s := range []string{"", "0", "0,1", "0-2", "1,3-5,7,8,10-12"} {
		if got := parseIndexes(s).String(); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// TestNothingToDo: a finished job has a start time, even if it was suspended from the first.
func TestNothingToDo(t *testing.T) {
	yes := true
	run(t, work(1, 0, func(j *batchv1.Job) { j.Spec.Suspend = &yes }), func(r *test.Rig, now func() *batchv1.Job) {
		if s := now().Status; !has(s.Conditions, batchv1.JobComplete) || s.StartTime == nil {
			t.Errorf("status %+v", s)
		}
	})
}
