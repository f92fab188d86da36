// Package ttl deletes Jobs some time after they finished (spec.ttlSecondsAfterFinished).
package ttl

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of finished Jobs. Use New.
type Controller struct {
	*controller.Loop
	jobs client.Cache[*batchv1.Job]
	api  client.Client[*batchv1.Job]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{jobs: client.CacheOf[*batchv1.Job](d.Caches), api: client.For[*batchv1.Job](d.Conn)}
	c.Loop = controller.NewLoop(d, "ttl-after-finished-controller", c.sync)
	c.Workers = 1
	c.jobs.Subscribe(func(_, j *batchv1.Job) {
		if j != nil && j.Spec.TTLSecondsAfterFinished != nil {
			c.AddObject(j)
		}
	})
	return c
}

// expires is when j is to be deleted; false: not, as far as can be seen now.
func expires(j *batchv1.Job) (time.Time, bool) {
	if j.Spec.TTLSecondsAfterFinished == nil || j.DeletionTimestamp != nil {
		return time.Time{}, false
	}
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Add(time.Duration(*j.Spec.TTLSecondsAfterFinished) * time.Second), true
		}
	}
	return time.Time{}, false
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	j, ok := c.jobs.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	at, ok := expires(j)
	if wait := time.Until(at); !ok || wait > 0 {
		if ok {
			c.AddAfter(key, wait)
		}
		return nil
	}
	// The TTL may have been prolonged: the precondition makes the server check that nothing changed.
	foreground := metav1.DeletePropagationForeground
	err := c.api.Delete(ctx, key.Namespace, key.Name, metav1.DeleteOptions{
		PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &j.UID, ResourceVersion: &j.ResourceVersion},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
