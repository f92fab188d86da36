// Package cronjob makes a Job whenever a schedule says so.
//
// plan.go decides, cronjob.go does. A run's job is named after its minute, so that none is made twice. Read plan.go first.
package cronjob

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api/cron"
	"github.com/dhow-project/dhow/internal/controller"
)

const manyMissed = 100

// plan is one look at a CronJob. First old jobs are deleted, then one is made, then the status is written.
type plan struct {
	status batchv1.CronJobStatus
	delete []*batchv1.Job
	job    *batchv1.Job // to create
	at     time.Time    // what it is scheduled for
	events []event
	again  time.Time // look again then, if not zero
}

type event struct{ kind, reason, message string }

func (p *plan) event(kind, reason, message string) {
	p.events = append(p.events, event{kind, reason, message})
}

// doubts are what a cache that is behind looks like: running jobs that are not in the status, or the other way round.
func doubts(cj *batchv1.CronJob, jobs []*batchv1.Job) bool {
	for _, j := range jobs {
		if _, done := ended(j); !done && !active(cj.Status.Active, j.UID) {
			return true
		}
	}
	return slices.ContainsFunc(cj.Status.Active, func(ref corev1.ObjectReference) bool {
		return !slices.ContainsFunc(jobs, func(j *batchv1.Job) bool { return j.UID == ref.UID })
	})
}

func active(refs []corev1.ObjectReference, id types.UID) bool {
	return slices.ContainsFunc(refs, func(r corev1.ObjectReference) bool { return r.UID == id })
}

func ended(j *batchv1.Job) (batchv1.JobConditionType, bool) {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.Type, true
		}
	}
	return "", false
}

func decide(cj *batchv1.CronJob, jobs []*batchv1.Job, now time.Time) plan {
	p := plan{status: *cj.Status.DeepCopy()}
	jobs = slices.SortedFunc(slices.Values(jobs), older)
	p.follow(jobs)
	p.prune(cj, jobs)
	if cj.DeletionTimestamp == nil {
		p.run(cj, jobs, now)
	}
	return p
}

func older(a, b *batchv1.Job) int {
	x, y := a.Status.StartTime, b.Status.StartTime
	switch {
	case x == nil && y != nil:
		return 1
	case x != nil && y == nil:
		return -1
	case x != nil && !x.Equal(y):
		return x.Compare(y.Time)
	}
	return cmp.Compare(a.Name, b.Name)
}

// follow brings the status in line with what became of the jobs.
func (p *plan) follow(jobs []*batchv1.Job) {
	st := &p.status
	have := map[types.UID]bool{}
	for _, j := range jobs {
		have[j.UID] = true
		how, done := ended(j)
		was := active(st.Active, j.UID)
		if !done {
			if !was {
				p.event(corev1.EventTypeWarning, "UnexpectedJob", "Saw a job that the controller did not create or forgot: "+j.Name)
			}
			continue
		}
		if was {
			p.drop(j.UID)
			p.event(corev1.EventTypeNormal, "SawCompletedJob", "Saw completed job: "+j.Name+", condition: "+string(how))
		}
		if at := j.Status.CompletionTime; how == batchv1.JobComplete && at != nil && (st.LastSuccessfulTime == nil || at.After(st.LastSuccessfulTime.Time)) {
			st.LastSuccessfulTime = at.DeepCopy()
		}
	}
	for _, ref := range slices.Clone(st.Active) {
		if !have[ref.UID] {
			p.drop(ref.UID)
			p.event(corev1.EventTypeNormal, "MissingJob", "Active job went missing: "+ref.Name)
		}
	}
}

func (p *plan) drop(id types.UID) {
	p.status.Active = slices.DeleteFunc(p.status.Active, func(r corev1.ObjectReference) bool { return r.UID == id })
}

// prune deletes the oldest jobs beyond the limits.
func (p *plan) prune(cj *batchv1.CronJob, jobs []*batchv1.Job) {
	for how, limit := range map[batchv1.JobConditionType]*int32{
		batchv1.JobComplete: cj.Spec.SuccessfulJobsHistoryLimit, batchv1.JobFailed: cj.Spec.FailedJobsHistoryLimit,
	} {
		if limit == nil {
			continue
		}
		var of []*batchv1.Job
		for _, j := range jobs {
			if h, done := ended(j); done && h == how && j.DeletionTimestamp == nil {
				of = append(of, j)
			}
		}
		p.delete = append(p.delete, of[:max(0, len(of)-int(*limit))]...)
	}
}

// run finds out whether a job is due, and when the next will be.
func (p *plan) run(cj *batchv1.CronJob, jobs []*batchv1.Job, now time.Time) {
	zone := time.Local
	if name := cj.Spec.TimeZone; name != nil {
		var err error
		if zone, err = time.LoadLocation(*name); err != nil {
			p.event(corev1.EventTypeWarning, "UnknownTimeZone", "invalid timeZone: "+strconv.Quote(*name)+": "+err.Error())
			return
		}
	}
	if cj.Spec.Suspend != nil && *cj.Spec.Suspend {
		return
	}
	s, err := cron.Parse(cj.Spec.Schedule)
	if err != nil {
		p.event(corev1.EventTypeWarning, "UnparseableSchedule", "unparseable schedule: "+strconv.Quote(cj.Spec.Schedule)+" : "+err.Error())
		return
	}
	from := cj.CreationTimestamp.Time
	if last := cj.Status.LastScheduleTime; last != nil {
		from = last.Time
	}
	p.again = p.next(s, from.In(zone), now.In(zone))
	if n := cj.Spec.StartingDeadlineSeconds; n != nil { // what was due before is not made up for
		if deadline := now.Add(-time.Duration(*n) * time.Second); deadline.After(from) {
			from = deadline
		}
	}
	at, missed := s.Latest(from.In(zone), now.In(zone), manyMissed)
	if at.IsZero() {
		return
	}
	if missed > manyMissed {
		p.event(corev1.EventTypeWarning, "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew")
	}
	p.start(cj, jobs, at)
}

// next is the first time to come. That of @every counts from the last run.
func (p *plan) next(s *cron.Schedule, from, now time.Time) time.Time {
	if last, n := s.Latest(from, now, 1); n > 0 {
		from = last
	}
	t := s.Next(from)
	if !t.IsZero() && !t.After(now) {
		t = s.Next(now)
	}
	return t
}

// start makes the job of a time that has come, unless it was made or another one is in its way.
func (p *plan) start(cj *batchv1.CronJob, jobs []*batchv1.Job, at time.Time) {
	name := cj.Name + "-" + strconv.FormatInt(at.Unix()/60, 10)
	if cj.Status.LastScheduleTime != nil && cj.Status.LastScheduleTime.Time.Equal(at) || slices.ContainsFunc(p.status.Active, func(r corev1.ObjectReference) bool { return r.Name == name }) {
		return
	}
	switch {
	case len(p.status.Active) == 0:
	case cj.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent:
		p.event(corev1.EventTypeNormal, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
		return
	case cj.Spec.ConcurrencyPolicy == batchv1.ReplaceConcurrent:
		for _, j := range jobs {
			if active(p.status.Active, j.UID) {
				p.delete = append(p.delete, j)
				p.drop(j.UID)
			}
		}
	}
	p.job, p.at = newJob(cj, name, at), at
}

// newJob is the job of one run; at is in the CronJob's time zone.
func newJob(cj *batchv1.CronJob, name string, at time.Time) *batchv1.Job {
	t := &cj.Spec.JobTemplate
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cj.Namespace, Name: name, Labels: maps.Clone(t.Labels), Annotations: maps.Clone(t.Annotations),
			OwnerReferences: []metav1.OwnerReference{controller.RefTo(cj, kind)},
		},
		Spec: *t.Spec.DeepCopy(),
	}
	metav1.SetMetaDataAnnotation(&j.ObjectMeta, batchv1.CronJobScheduledTimestampAnnotation, at.Format(time.RFC3339))
	return j
}
