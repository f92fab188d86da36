// Package ephemeral makes the claims of volumes that live as long as their pod (KEP-1698).
//
// The pod owns the claim, so that garbage collection takes it along.
package ephemeral

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of pods with ephemeral volumes. Use New.
type Controller struct {
	*controller.Loop
	pods   client.Cache[*corev1.Pod]
	claims client.Cache[*corev1.PersistentVolumeClaim]
	api    client.Client[*corev1.PersistentVolumeClaim]
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		pods: client.CacheOf[*corev1.Pod](d.Caches), claims: client.CacheOf[*corev1.PersistentVolumeClaim](d.Caches),
		api: client.For[*corev1.PersistentVolumeClaim](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "ephemeral-volume-controller", c.sync)
	c.pods.Subscribe(func(old, p *corev1.Pod) {
		if p != nil && (old == nil || old.UID != p.UID) && len(missing(p, c.find(p))) > 0 {
			c.AddObject(p)
		}
	})
	c.claims.Subscribe(func(old, claim *corev1.PersistentVolumeClaim) {
		if claim != nil {
			return
		}
		if k, ok := controller.OwnerKey(old, corev1.SchemeGroupVersion.WithKind("Pod").GroupKind()); ok {
			c.Add(k)
		}
	})
	return c
}

func (c *Controller) find(p *corev1.Pod) func(string) *corev1.PersistentVolumeClaim {
	return func(name string) *corev1.PersistentVolumeClaim {
		claim, _ := c.claims.Get(p.Namespace, name)
		return claim
	}
}

// missing are the claims that a pod is to get.
func missing(p *corev1.Pod, find func(string) *corev1.PersistentVolumeClaim) (out []*corev1.PersistentVolumeClaim) {
	if p.DeletionTimestamp != nil || controller.PodFinished(p) {
		return nil
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		name, own := binding.ClaimOf(p.Name, v)
		if !own || v.Ephemeral.VolumeClaimTemplate == nil || find(name) != nil {
			continue
		}
		t := v.Ephemeral.VolumeClaimTemplate
		out = append(out, &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: p.Namespace, Name: name, Labels: maps.Clone(t.Labels), Annotations: maps.Clone(t.Annotations),
				OwnerReferences: []metav1.OwnerReference{controller.RefTo(p, corev1.SchemeGroupVersion.WithKind("Pod"))},
			},
			Spec: *t.Spec.DeepCopy(),
		})
	}
	return out
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	p, ok := c.pods.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	for _, claim := range missing(p, c.find(p)) {
		if _, err := c.api.Create(ctx, claim); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create claim %s: %w", claim.Name, err)
		}
	}
	return nil
}
