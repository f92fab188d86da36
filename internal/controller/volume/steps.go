package volume

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/controller"
)

// apply writes what a plan changes, the volume first. claim is as it was.
func (c *Controller) apply(ctx context.Context, claim *corev1.PersistentVolumeClaim, p plan) error {
	if p.volume != nil {
		if err := c.writeVolume(ctx, p.was, p.volume); err != nil {
			return ignoreGone(err, "write volume %s", p.volume.Name)
		}
	}
	if p.claim != nil {
		if err := c.writeClaim(ctx, claim, p.claim); err != nil {
			return ignoreGone(err, "write claim %s/%s", claim.Namespace, claim.Name)
		}
	}
	for _, e := range p.events {
		c.Event(e.about, e.kind, e.reason, "%s", e.message)
	}
	if p.again {
		c.Add(controller.KeyOf(claim))
	}
	return nil
}

func ignoreGone(err error, format string, args ...any) error {
	if apierrors.IsNotFound(err) {
		return nil // its deletion is on the way to the cache
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

func (c *Controller) writeVolume(ctx context.Context, was, want *corev1.PersistentVolume) error {
	status := want.Status
	if !equality.Semantic.DeepEqual(was.Spec, want.Spec) || !equality.Semantic.DeepEqual(was.Annotations, want.Annotations) {
		var err error
		if want, err = c.volumeAPI.Update(ctx, want); err != nil {
			return err
		}
	}
	if equality.Semantic.DeepEqual(was.Status, status) {
		return nil
	}
	want = want.DeepCopy()
	want.Status = status
	_, err := c.volumeAPI.UpdateStatus(ctx, want)
	return err
}

func (c *Controller) writeClaim(ctx context.Context, was, want *corev1.PersistentVolumeClaim) error {
	status := want.Status
	if !equality.Semantic.DeepEqual(was.Spec, want.Spec) || !equality.Semantic.DeepEqual(was.Annotations, want.Annotations) {
		var err error
		if want, err = c.claimAPI.Update(ctx, want); err != nil {
			return err
		}
	}
	if equality.Semantic.DeepEqual(was.Status, status) {
		return nil
	}
	want = want.DeepCopy()
	want.Status = status
	_, err := c.claimAPI.UpdateStatus(ctx, want)
	return err
}
