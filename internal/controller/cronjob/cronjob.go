package cronjob

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

var kind = batchv1.SchemeGroupVersion.WithKind("CronJob") // never changed

// Controller of CronJobs. Use New.
type Controller struct {
	*controller.Loop
	crons  client.Cache[*batchv1.CronJob]
	jobs   client.Cache[*batchv1.Job]
	api    client.Client[*batchv1.CronJob]
	jobAPI client.Client[*batchv1.Job]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		crons: client.CacheOf[*batchv1.CronJob](d.Caches), jobs: client.CacheOf[*batchv1.Job](d.Caches),
		api: client.For[*batchv1.CronJob](d.Conn), jobAPI: client.For[*batchv1.Job](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "cronjob-controller", c.sync)
	controller.IndexByOwner(c.jobs)
	controller.Changed(c.Loop, c.crons)
	controller.ChangedChild(c.Loop, c.jobs, kind.GroupKind())
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	cj, ok := c.crons.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	jobs := controller.Children(c.jobs, cj.UID)
	if doubts(cj, jobs) {
		var err error
		if cj, jobs, err = c.reread(ctx, cj, jobs); err != nil || cj == nil {
			return err
		}
	}
	p := decide(cj, jobs, time.Now())
	if !p.again.IsZero() {
		c.AddAfter(key, time.Until(p.again))
	}
	for _, e := range p.events {
		c.Event(cj, e.kind, e.reason, "%s", e.message)
	}
	for _, j := range p.delete {
		if err := c.remove(ctx, cj, j); err != nil {
			return err
		}
	}
	if p.job != nil {
		if err := c.start(ctx, cj, &p); err != nil {
			return err
		}
	}
	if equality.Semantic.DeepEqual(cj.Status, p.status) {
		return nil
	}
	next := cj.DeepCopy()
	next.Status = p.status
	return controller.WriteStatus(ctx, c.api, next)
}

// reread asks the server, because the caches do not agree; cj is nil when it is gone.
func (c *Controller) reread(ctx context.Context, cj *batchv1.CronJob, jobs []*batchv1.Job) (*batchv1.CronJob, []*batchv1.Job, error) {
	now, err := c.api.Get(ctx, cj.Namespace, cj.Name)
	if apierrors.IsNotFound(err) || err == nil && now.UID != cj.UID {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read: %w", err)
	}
	have := map[string]bool{}
	for _, j := range jobs {
		have[string(j.UID)] = true
	}
	for _, ref := range now.Status.Active {
		if have[string(ref.UID)] {
			continue
		}
		j, err := c.jobAPI.Get(ctx, ref.Namespace, ref.Name)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, nil, fmt.Errorf("read job %s: %w", ref.Name, err)
		case j.UID == ref.UID:
			jobs = append(jobs, j)
		}
	}
	return now, jobs, nil
}

func (c *Controller) remove(ctx context.Context, cj *batchv1.CronJob, j *batchv1.Job) error {
	background := metav1.DeletePropagationBackground
	err := c.jobAPI.Delete(ctx, j.Namespace, j.Name, metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &j.UID}})
	switch {
	case err == nil:
		c.Event(cj, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted job %s", j.Name)
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
	default:
		c.Event(cj, corev1.EventTypeWarning, "FailedDelete", "Deleted job: %v", err)
		return fmt.Errorf("delete job %s: %w", j.Name, err)
	}
	return nil
}

// start makes the job, and puts it into the status that is about to be written.
func (c *Controller) start(ctx context.Context, cj *batchv1.CronJob, p *plan) error {
	j, err := c.jobAPI.Create(ctx, p.job)
	switch {
	case err == nil:
		c.Event(cj, corev1.EventTypeNormal, "SuccessfulCreate", "Created job %s", j.Name)
	case apierrors.IsAlreadyExists(err):
		// We may have made it before, and stopped before the status was written.
		if j, err = c.jobAPI.Get(ctx, p.job.Namespace, p.job.Name); err != nil {
			return fmt.Errorf("read job %s: %w", p.job.Name, err)
		}
		if !metav1.IsControlledBy(j, cj) {
			return nil
		}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	default:
		c.Event(cj, corev1.EventTypeWarning, "FailedCreate", "Error creating job: %v", err)
		return fmt.Errorf("create job %s: %w", p.job.Name, err)
	}
	at := metav1.NewTime(p.at)
	p.status.LastScheduleTime = &at
	if _, done := ended(j); !done {
		p.status.Active = append(p.status.Active, corev1.ObjectReference{
			APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Namespace: j.Namespace, Name: j.Name, UID: j.UID, ResourceVersion: j.ResourceVersion,
		})
	}
	return nil
}
