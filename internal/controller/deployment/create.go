package deployment

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/controller"
)

var kind = appsv1.SchemeGroupVersion.WithKind("Deployment") // never changed

// ensureNew makes the set of d's template exist with the right annotations. It is nil when the namespace is being deleted.
func (c *Controller) ensureNew(ctx context.Context, d *appsv1.Deployment, s sets) (*appsv1.ReplicaSet, error) {
	next := nextRevision(s.old)
	if s.new == nil {
		return c.create(ctx, d, s, next)
	}
	rs := s.new.DeepCopy()
	rs.Annotations = annotated(d, rs, next)
	rs.Spec.MinReadySeconds = d.Spec.MinReadySeconds
	if !equality.Semantic.DeepEqual(rs, s.new) {
		var err error
		if rs, err = c.setAPI.Update(ctx, rs); err != nil {
			return nil, fmt.Errorf("annotate replica set %s: %w", s.new.Name, err)
		}
	}
	return rs, c.adoptRevision(ctx, d, rs, reasonFound, fmt.Sprintf("Found new replica set %q", rs.Name))
}

// adoptRevision gives d the revision of its set, and a condition Progressing if it is a new one.
func (c *Controller) adoptRevision(ctx context.Context, d *appsv1.Deployment, rs *appsv1.ReplicaSet, reason, message string) error {
	before := d.DeepCopy()
	if v := rs.Annotations[revisionAnnotation]; v != "" {
		d.Annotations = maps.Clone(d.Annotations)
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[revisionAnnotation] = v
	}
	if hasDeadline(d) && (reason == reasonCreated || condition(&d.Status, appsv1.DeploymentProgressing) == nil) {
		setCondition(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionTrue, reason, message, time.Now())
	}
	if equality.Semantic.DeepEqual(before, d) {
		return nil
	}
	return c.write(ctx, d)
}

func (c *Controller) create(ctx context.Context, d *appsv1.Deployment, s sets, next int64) (*appsv1.ReplicaSet, error) {
	rs := newSet(d, s, next)
	got, err := c.setAPI.Create(ctx, rs)
	switch {
	case err == nil:
		if n := *got.Spec.Replicas; n > 0 {
			c.scaled(d, got.Name, 0, n)
		}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil, nil
	case apierrors.IsAlreadyExists(err):
		if got, err = c.existing(ctx, d, rs.Name); err != nil {
			return nil, err
		}
	default:
		if hasDeadline(d) {
			setCondition(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonCreateError, fmt.Sprintf("Failed to create new replica set %q: %v", rs.Name, err), time.Now())
			if err := c.write(ctx, d); err != nil {
				c.Log().Debug("status not written", "err", err)
			}
		}
		c.Event(d, corev1.EventTypeWarning, "ReplicaSetCreateError", "Failed to create new replica set %q: %v", rs.Name, err)
		return nil, fmt.Errorf("create replica set %s: %w", rs.Name, err)
	}
	return got, c.adoptRevision(ctx, d, got, reasonCreated, fmt.Sprintf("Created new replica set %q", got.Name))
}

// existing is the set that took the name: ours, which the cache has not seen, or another with the same hash.
func (c *Controller) existing(ctx context.Context, d *appsv1.Deployment, name string) (*appsv1.ReplicaSet, error) {
	rs, err := c.setAPI.Get(ctx, d.Namespace, name)
	if err != nil {
		return nil, err
	}
	if ref := metav1.GetControllerOf(rs); ref != nil && ref.UID == d.UID && sameTemplate(&rs.Spec.Template, &d.Spec.Template) {
		return rs, nil
	}
	n := int32(1)
	if d.Status.CollisionCount != nil {
		n += *d.Status.CollisionCount
	}
	d.Status.CollisionCount = &n
	if err := c.write(ctx, d); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("replica set %s exists and is another's: trying another hash", name)
}

func newSet(d *appsv1.Deployment, s sets, next int64) *appsv1.ReplicaSet {
	hash := controller.HashTemplate(&d.Spec.Template, d.Status.CollisionCount)
	template := *d.Spec.Template.DeepCopy()
	template.Labels = withHash(template.Labels, hash)
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = withHash(selector.MatchLabels, hash)
	size := firstSize(d, s, 0)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: d.Name + "-" + hash, Labels: maps.Clone(template.Labels),
			OwnerReferences: []metav1.OwnerReference{controller.RefTo(d, kind)},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &size, MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: template},
	}
	rs.Annotations = sized(d, annotated(d, rs, next))
	rs.Annotations[revisionAnnotation] = strconv.FormatInt(next, 10)
	return rs
}

func withHash(in map[string]string, hash string) map[string]string {
	out := maps.Clone(in)
	if out == nil {
		out = map[string]string{}
	}
	out[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	return out
}
