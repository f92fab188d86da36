package job

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

var kind = batchv1.SchemeGroupVersion.WithKind("Job") // never changed

// Controller of Jobs. Use New.
type Controller struct {
	*controller.Loop
	jobs client.Cache[*batchv1.Job]
	pods *controller.Pods
	api  client.Client[*batchv1.Job]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{jobs: client.CacheOf[*batchv1.Job](d.Caches), api: client.For[*batchv1.Job](d.Conn)}
	c.Loop = controller.NewLoop(d, "job-controller", c.sync)
	c.pods = controller.NewPods(d, c.Loop, kind)
	controller.Changed(c.Loop, c.jobs)
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	j, ok := c.jobs.Get(key.Namespace, key.Name)
	if err := c.orphans(ctx, key, j); err != nil || !ok {
		return err
	}
	if j.Spec.ManagedBy != nil && *j.Spec.ManagedBy != batchv1.JobControllerName {
		return nil
	}
	pods, err := c.claim(ctx, j)
	if err != nil {
		return err
	}
	if c.pods.Behind(key) {
		return nil
	}
	p := decide(j, pods, time.Now())
	if !p.again.IsZero() {
		c.AddAfter(key, time.Until(p.again))
	}
	return c.apply(ctx, j, p)
}

func (c *Controller) claim(ctx context.Context, j *batchv1.Job) ([]*corev1.Pod, error) {
	if j.Spec.Selector == nil {
		return controller.Children(c.pods.Cache, j.UID), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(j.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("read selector: %w", err)
	}
	return controller.Owned(c.pods.Cache, j, selector).Settle(ctx, c.pods.API, controller.RefTo(j, kind), controller.Alive(ctx, c.api, j))
}

// orphans lets pods go whose job is no more.
func (c *Controller) orphans(ctx context.Context, key controller.Key, j *batchv1.Job) error {
	if j != nil && j.DeletionTimestamp == nil {
		return nil
	}
	for _, p := range c.pods.In(key.Namespace) {
		k, ok := controller.OwnerKey(p, kind.GroupKind())
		if !ok || k != key || !tracked(p) || j != nil && metav1.GetControllerOf(p).UID == j.UID {
			continue
		}
		if err := c.release(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) apply(ctx context.Context, j *batchv1.Job, p plan) error {
	if !equality.Semantic.DeepEqual(j.Status, p.status) {
		next := j.DeepCopy()
		next.Status = p.status
		if err := controller.WriteStatus(ctx, c.api, next); err != nil {
			return err
		}
		c.tell(j, p.status)
	}
	if _, err := controller.Parallel(len(p.release), func(i int) error { return c.release(ctx, p.release[i]) }); err != nil {
		return err
	}
	if _, err := controller.Parallel(len(p.delete), func(i int) error { return c.pods.Remove(ctx, j, p.delete[i]) }); err != nil {
		return err
	}
	_, err := controller.SlowStart(len(p.create), func(i int) error { return c.create(ctx, j, p.create[i]) })
	return err
}

// tell records how the job ended, or that it was suspended.
func (c *Controller) tell(j *batchv1.Job, now batchv1.JobStatus) {
	for _, cond := range now.Conditions {
		if slices.ContainsFunc(j.Status.Conditions, func(had batchv1.JobCondition) bool { return had.Type == cond.Type && had.Status == cond.Status }) {
			continue
		}
		switch {
		case cond.Type == batchv1.JobComplete:
			c.Event(j, corev1.EventTypeNormal, "Completed", "Job completed")
		case cond.Type == batchv1.JobFailed:
			c.Event(j, corev1.EventTypeWarning, cond.Reason, "%s", cond.Message)
		case cond.Type == batchv1.JobSuspended && cond.Status == corev1.ConditionTrue:
			c.Event(j, corev1.EventTypeNormal, "Suspended", "Job suspended")
		case cond.Type == batchv1.JobSuspended:
			c.Event(j, corev1.EventTypeNormal, "Resumed", "Job resumed")
		}
	}
}

func (c *Controller) create(ctx context.Context, j *batchv1.Job, index int) error {
	failures := 0
	if index >= 0 && j.Spec.BackoffLimitPerIndex != nil {
		failures = failuresOf(controller.Children(c.pods.Cache, j.UID), index)
	}
	return c.pods.Create(ctx, j, newPod(j, index, failures))
}

// release takes the finalizer off a pod that has been counted.
func (c *Controller) release(ctx context.Context, p *corev1.Pod) error {
	if !tracked(p) {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(p.Finalizers), func(f string) bool { return f == finalizer })
	doc, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": left, "uid": p.UID, "resourceVersion": p.ResourceVersion}})
	if err != nil {
		return err
	}
	_, err = c.pods.API.Patch(ctx, p.Namespace, p.Name, "", types.MergePatchType, doc)
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("release pod %s: %w", p.Name, err)
}
