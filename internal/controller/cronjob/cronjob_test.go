package cronjob

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func every(schedule string, change func(*batchv1.CronJob)) *batchv1.CronJob {
	cj := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "tick", UID: "c"}, Spec: batchv1.CronJobSpec{
		Schedule: schedule, ConcurrencyPolicy: batchv1.AllowConcurrent,
		JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}},
	}}
	change(cj)
	return cj
}

func run(t *testing.T, cj *batchv1.CronJob, f func(*test.Rig)) {
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{cj}, f)
}

func jobs(r *test.Rig) []*batchv1.Job { return test.List[*batchv1.Job](r) }

func status(r *test.Rig) batchv1.CronJobStatus {
	return test.Get[*batchv1.CronJob](r, "ns", "tick").Status
}

// finish ends all running jobs.
func finish(r *test.Rig, how batchv1.JobConditionType) {
	for _, j := range jobs(r) {
		if _, done := ended(j); done {
			continue
		}
		_, err := client.MutateStatus(r.Ctx, client.For[*batchv1.Job](r.Fake), "ns", j.Name, func(j *batchv1.Job) error {
			at := metav1.Now()
			j.Status.StartTime = &at
			j.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue}}
			if how == batchv1.JobComplete {
				j.Status.CompletionTime = &at
			}
			return nil
		})
		r.OK(err)
	}
	r.Settle()
}

// The bubble's clock starts at midnight UTC on 2000-01-01.
func TestRuns(t *testing.T) {
	zone := "Etc/UTC"
	run(t, every("*/2 * * * *", func(cj *batchv1.CronJob) { cj.Spec.TimeZone = &zone }), func(r *test.Rig) {
		if n := len(jobs(r)); n != 0 {
			t.Fatalf("%d jobs at once", n)
		}
		r.Pass(2 * time.Minute)
		l, s := jobs(r), status(r)
		if len(l) != 1 || len(s.Active) != 1 || s.Active[0].UID != l[0].UID || !s.LastScheduleTime.Time.Equal(time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC)) {
			t.Fatalf("%d jobs, status %+v", len(l), s)
		}
		if l[0].Name != "tick-15778082" || l[0].Labels["a"] != "b" || l[0].Annotations[batchv1.CronJobScheduledTimestampAnnotation] != "2000-01-01T00:02:00Z" || !metav1.IsControlledBy(l[0], test.Get[*batchv1.CronJob](r, "ns", "tick")) {
			t.Errorf("job %+v", l[0].ObjectMeta)
		}
		finish(r, batchv1.JobComplete)
		if s = status(r); len(s.Active) != 0 || s.LastSuccessfulTime == nil {
			t.Errorf("status %+v", s)
		}
		r.Pass(4 * time.Minute)
		if n := len(jobs(r)); n != 3 || len(status(r).Active) != 2 {
			t.Errorf("%d jobs", n)
		}
	})
}

func TestConcurrency(t *testing.T) {
	for policy, want := range map[batchv1.ConcurrencyPolicy]int{batchv1.AllowConcurrent: 3, batchv1.ForbidConcurrent: 1, batchv1.ReplaceConcurrent: 1} {
		run(t, every("* * * * *", func(cj *batchv1.CronJob) { cj.Spec.ConcurrencyPolicy = policy }), func(r *test.Rig) {
			r.Pass(61 * time.Second)
			first := jobs(r)[0].UID
			r.Pass(2 * time.Minute)
			l := jobs(r)
			if len(l) != want || len(status(r).Active) != want || (l[0].UID == first) != (policy != batchv1.ReplaceConcurrent) {
				t.Errorf("%s: %d jobs, %d active", policy, len(l), len(status(r).Active))
			}
		})
	}
}

func TestHistory(t *testing.T) {
	one, two := int32(1), int32(2)
	run(t, every("* * * * *", func(cj *batchv1.CronJob) {
		cj.Spec.SuccessfulJobsHistoryLimit, cj.Spec.FailedJobsHistoryLimit = &two, &one
	}), func(r *test.Rig) {
		for i := range 8 {
			r.Pass(time.Minute)
			finish(r, []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed}[i%2])
		}
		n := map[batchv1.JobConditionType]int{}
		for _, j := range jobs(r) {
			how, _ := ended(j)
			n[how]++
		}
		if d := cmp.Diff(map[batchv1.JobConditionType]int{batchv1.JobComplete: 2, batchv1.JobFailed: 1}, n); d != "" {
			t.Error(d)
		}
	})
}

func TestSuspend(t *testing.T) {
	yes := true
	run(t, every("* * * * *", func(cj *batchv1.CronJob) { cj.Spec.Suspend = &yes }), func(r *test.Rig) {
		r.Pass(10 * time.Minute)
		if n := len(jobs(r)); n != 0 {
			t.Errorf("%d jobs", n)
		}
		test.Change(r, "ns", "tick", func(cj *batchv1.CronJob) { cj.Spec.Suspend = nil })
		if n := len(jobs(r)); n != 1 {
			t.Errorf("%d jobs after it was resumed, want the last missed one", n)
		}
	})
}

func TestMissingAndUnexpectedJobs(t *testing.T) {
	run(t, every("* * * * *", func(*batchv1.CronJob) {}), func(r *test.Rig) {
		r.Pass(61 * time.Second)
		r.OK(client.For[*batchv1.Job](r.Fake).Delete(r.Ctx, "ns", jobs(r)[0].Name, metav1.DeleteOptions{}))
		r.Settle()
		if s := status(r); len(s.Active) != 0 {
			t.Errorf("status %+v", s)
		}
		// Made, but the status was not written any more.
		r.Intercept(func(verb string, k *api.Kind, _ api.Object) error {
			if verb == "update/status" && k.Kind == "CronJob" {
				return fmt.Errorf("down")
			}
			return nil
		})
		r.Pass(time.Minute)
		if len(jobs(r)) != 1 || len(status(r).Active) != 0 {
			t.Fatalf("%d jobs, status %+v", len(jobs(r)), status(r))
		}
		r.Intercept(nil)
		r.Pass(30 * time.Second)
		if len(jobs(r)) != 1 || len(status(r).Active) != 1 {
			t.Errorf("%d jobs, status %+v", len(jobs(r)), status(r))
		}
	})
}

func TestDecide(t *testing.T) {
	now := time.Date(2026, 3, 29, 10, 30, 0, 0, time.UTC)
	berlin, nowhere, deadline := "Europe/Berlin", "Nowhere/Land", int64(600)
	for _, c := range []struct {
		name, schedule string
		change         func(*batchv1.CronJob)
		at, next       string
		events         string
	}{
		{"none missed", "45 * * * *", func(*batchv1.CronJob) {}, "", "10:45", ""},
		{"one missed", "15 * * * *", func(*batchv1.CronJob) {}, "10:15", "11:15", ""},
		{"within the deadline", "25 * * * *", func(cj *batchv1.CronJob) { cj.Spec.StartingDeadlineSeconds = &deadline }, "10:25", "11:25", ""},
		{"too late", "15 * * * *", func(cj *batchv1.CronJob) { cj.Spec.StartingDeadlineSeconds = &deadline }, "", "11:15", ""},
		{"done", "15 * * * *", func(cj *batchv1.CronJob) {
			at := metav1.NewTime(now.Add(-15 * time.Minute))
			cj.Status.LastScheduleTime = &at
		}, "", "11:15", ""},
		{"many missed", "* * * * *", func(cj *batchv1.CronJob) { cj.CreationTimestamp.Time = now.Add(-1000 * time.Hour) }, "10:30", "10:31", "TooManyMissedTimes"},
		{"in its zone, in summer", "20 12 * * *", func(cj *batchv1.CronJob) { cj.Spec.TimeZone = &berlin }, "10:20", "10:20", ""},
		{"unknown zone", "20 12 * * *", func(cj *batchv1.CronJob) { cj.Spec.TimeZone = &nowhere }, "", "", "UnknownTimeZone"},
		{"never", "0 0 30 2 *", func(*batchv1.CronJob) {}, "", "", ""},
		{"every", "@every 25m", func(*batchv1.CronJob) {}, "10:25", "10:50", ""},
	} {
		utc := "UTC"
		cj := every(c.schedule, func(cj *batchv1.CronJob) {
			cj.CreationTimestamp = metav1.NewTime(now.Add(-30 * time.Minute))
			cj.Spec.TimeZone = &utc
		})
		c.change(cj)
		p := decide(cj, nil, now)
		format := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.UTC().Format("15:04")
		}
		var events []string
		for _, e := range p.events {
			events = append(events, e.reason)
		}
		if d := cmp.Diff([]string{c.at, c.next, c.events}, []string{format(p.at), format(p.again), strings.Join(events, " ")}); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}
