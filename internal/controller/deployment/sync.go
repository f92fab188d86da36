package deployment

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/controller"
)

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	cached, ok := c.deployments.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	d := cached.DeepCopy() // status writes below keep it current
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil || selector.Empty() {
		c.Event(d, corev1.EventTypeWarning, "SelectingAll", "This deployment is selecting all pods. A non-empty selector is required.")
		return nil
	}
	owned, err := controller.Owned(c.sets, d, selector).Settle(ctx, c.setAPI, controller.RefTo(d, kind), controller.Alive(ctx, c.api, d))
	if err != nil {
		return err
	}
	s := sortSets(d, owned)
	now := time.Now()
	if d.DeletionTimestamp != nil {
		return c.writeStatus(ctx, d, count(d, s, now))
	}
	if status, changed := pausedStatus(d, now); changed {
		if err := c.writeStatus(ctx, d, status); err != nil {
			return err
		}
	}
	if d.Spec.Paused || resized(d, owned) {
		return c.scale(ctx, d, s)
	}
	return c.rollout(ctx, d, s)
}

// resized is whether spec.replicas changed since the sets were last sized.
func resized(d *appsv1.Deployment, all []*appsv1.ReplicaSet) bool {
	for _, rs := range active(all) {
		if n, ok := number(rs, desiredAnnotation); ok && n != *d.Spec.Replicas {
			return true
		}
	}
	return false
}

func (c *Controller) scale(ctx context.Context, d *appsv1.Deployment, s sets) error {
	if s.new != nil {
		var err error
		if s.new, err = c.ensureNew(ctx, d, s); err != nil {
			return err
		}
	}
	s, err := c.resize(ctx, d, s, scaleAll(d, s))
	if err != nil {
		return err
	}
	if d.Spec.Paused {
		if err := c.cleanup(ctx, d, s); err != nil {
			return err
		}
	}
	return c.writeStatus(ctx, d, rolloutOrCount(d, s))
}

// rolloutOrCount leaves the condition Progressing alone while d is paused.
func rolloutOrCount(d *appsv1.Deployment, s sets) appsv1.DeploymentStatus {
	now := time.Now()
	if d.Spec.Paused {
		return count(d, s, now)
	}
	return rolloutStatus(d, s, now)
}

func (c *Controller) rollout(ctx context.Context, d *appsv1.Deployment, s sets) error {
	var err error
	if rolling(d) || s.new != nil {
		if s.new, err = c.ensureNew(ctx, d, s); err != nil || s.new == nil {
			return err
		}
	}
	var steps []resize
	if rolling(d) {
		steps = roll(d, s)
	} else {
		var create bool
		if steps, create = recreate(d, s, c.oldPods(s)); create {
			if s.new, err = c.ensureNew(ctx, d, s); err != nil {
				return err
			}
		}
	}
	if s, err = c.resize(ctx, d, s, steps); err != nil {
		return err
	}
	if len(steps) == 0 && complete(d, &d.Status) {
		if err := c.cleanup(ctx, d, s); err != nil {
			return err
		}
	}
	status := rolloutStatus(d, s, time.Now())
	if again := lookAgain(d, &status, time.Now()); again > 0 {
		c.AddAfter(controller.KeyOf(d), again)
	}
	return c.writeStatus(ctx, d, status)
}

// oldPods is whether pods of old sets still run.
func (c *Controller) oldPods(s sets) bool {
	for _, rs := range s.old {
		for _, p := range controller.Children(c.pods, rs.UID) {
			if !controller.PodFinished(p) {
				return true
			}
		}
	}
	return false
}

// resize carries steps out; the sets it returns show the result.
func (c *Controller) resize(ctx context.Context, d *appsv1.Deployment, s sets, steps []resize) (sets, error) {
	for _, step := range steps {
		from := *step.rs.Spec.Replicas
		next := step.rs.DeepCopy()
		next.Spec.Replicas = &step.to
		next.Annotations = sized(d, next.Annotations)
		if equality.Semantic.DeepEqual(next, step.rs) {
			continue
		}
		got, err := c.setAPI.Update(ctx, next)
		if err != nil {
			return s, fmt.Errorf("scale replica set %s: %w", next.Name, err)
		}
		s = s.with(got)
		if from != step.to {
			c.scaled(d, got.Name, from, step.to)
		}
	}
	return s, nil
}

func (c *Controller) scaled(d *appsv1.Deployment, name string, from, to int32) {
	direction := "up"
	if to < from {
		direction = "down"
	}
	c.Event(d, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", direction, name, from, to)
}

func (s sets) with(rs *appsv1.ReplicaSet) sets {
	if s.new != nil && s.new.UID == rs.UID {
		s.new = rs
		return s
	}
	old := append([]*appsv1.ReplicaSet(nil), s.old...)
	for i := range old {
		if old[i].UID == rs.UID {
			old[i] = rs
		}
	}
	s.old = old
	return s
}

func (c *Controller) cleanup(ctx context.Context, d *appsv1.Deployment, s sets) error {
	for _, rs := range cleanup(d, s.old) {
		if err := c.setAPI.Delete(ctx, rs.Namespace, rs.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: uid(rs.UID)}}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete replica set %s of the history: %w", rs.Name, err)
		}
	}
	return nil
}

func uid(u types.UID) *types.UID { return &u }

// writeStatus writes and keeps d current.
func (c *Controller) writeStatus(ctx context.Context, d *appsv1.Deployment, s appsv1.DeploymentStatus) error {
	if equality.Semantic.DeepEqual(d.Status, s) {
		return nil
	}
	d.Status = s
	return c.write(ctx, d)
}

func (c *Controller) write(ctx context.Context, d *appsv1.Deployment) error {
	got, err := c.api.UpdateStatus(ctx, d)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	got.DeepCopyInto(d)
	return nil
}
