// Package volume binds claims to volumes: it finds a volume for every claim, asks a provisioner for one where the
// class says so, and lets go of volumes whose claims are gone.
//
// It makes and removes no storage: provisioners do, the built-in one (localpath) among them. Both plans are pure and
// give the two objects as they should be; steps.go writes what differs. Read claim.go first.
package volume

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of claims and volumes. Keys of volumes have no namespace. Use New.
type Controller struct {
	*controller.Loop
	claims    client.Cache[*corev1.PersistentVolumeClaim]
	volumes   client.Cache[*corev1.PersistentVolume]
	classes   client.Cache[*storagev1.StorageClass]
	claimAPI  client.Client[*corev1.PersistentVolumeClaim]
	volumeAPI client.Client[*corev1.PersistentVolume]
}

// Indexes of the caches.
const (
	openByClass    = "unbound by class" // claims without a volume; those without a class under classless
	volumesByClass = "volumes by class" // volumes that nobody has
	volumesByClaim = "volumes by claim" // namespace/name of claimRef
	classless      = "/ leaves it open" // no class can be called so
)

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		claims: client.CacheOf[*corev1.PersistentVolumeClaim](d.Caches), volumes: client.CacheOf[*corev1.PersistentVolume](d.Caches),
		classes:  client.CacheOf[*storagev1.StorageClass](d.Caches),
		claimAPI: client.For[*corev1.PersistentVolumeClaim](d.Conn), volumeAPI: client.For[*corev1.PersistentVolume](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "persistentvolume-controller", c.sync)
	c.Workers = 1 // two claims must not be promised one volume
	c.claims.Index(openByClass, func(claim *corev1.PersistentVolumeClaim) []string {
		switch {
		case claim.Spec.VolumeName != "":
			return nil
		case binding.Classless(claim):
			return []string{classless, ""}
		}
		return []string{binding.ClassOf(claim)}
	})
	c.volumes.Index(volumesByClass, func(v *corev1.PersistentVolume) []string {
		if v.Spec.ClaimRef != nil {
			return nil
		}
		return []string{binding.ClassOfVolume(v)}
	})
	c.volumes.Index(volumesByClaim, func(v *corev1.PersistentVolume) []string {
		if r := v.Spec.ClaimRef; r != nil {
			return []string{claimKey(r).String()}
		}
		return nil
	})
	c.claims.Subscribe(c.claimChanged)
	c.volumes.Subscribe(c.volumeChanged)
	c.classes.Subscribe(c.classChanged)
	return c
}

func claimKey(r *corev1.ObjectReference) controller.Key {
	return controller.Key{Namespace: r.Namespace, Name: r.Name}
}

// claimChanged wakes a claim, and the volumes that may have lost or found their claim.
func (c *Controller) claimChanged(old, claim *corev1.PersistentVolumeClaim) {
	now := claim
	if claim == nil {
		now = old
	} else {
		c.AddObject(claim)
	}
	for _, v := range c.volumes.By(volumesByClaim, controller.KeyOf(now).String()) {
		c.AddObject(v)
	}
}

// volumeChanged wakes a volume, the claim it is reserved for, the claim that names it, and those it may suit.
func (c *Controller) volumeChanged(old, v *corev1.PersistentVolume) {
	for _, o := range []*corev1.PersistentVolume{old, v} {
		if o != nil && o.Spec.ClaimRef != nil {
			c.Add(claimKey(o.Spec.ClaimRef))
		}
	}
	if v == nil {
		return
	}
	c.AddObject(v)
	if v.Spec.ClaimRef == nil && v.Status.Phase == corev1.VolumeAvailable {
		c.wake(binding.ClassOfVolume(v))
	}
	if v.Spec.ClaimRef == nil && old == nil {
		for _, claim := range c.claims.List() { // a claim may have named it before it was there
			if claim.Spec.VolumeName == v.Name {
				c.AddObject(claim)
			}
		}
	}
}

// classChanged wakes the claims that waited for a class, and for a default.
func (c *Controller) classChanged(old, class *storagev1.StorageClass) {
	if class == nil {
		return
	}
	c.wake(class.Name)
	if isDefault(class) {
		c.wake(classless)
	}
}

func (c *Controller) wake(class string) {
	for _, claim := range c.claims.By(openByClass, class) {
		c.AddObject(claim)
	}
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	if key.Namespace == "" {
		return c.syncVolume(ctx, key.Name)
	}
	return c.syncClaim(ctx, key)
}

func (c *Controller) syncClaim(ctx context.Context, key controller.Key) error {
	claim, ok := c.claims.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	v := claimView{claim: claim, fallback: c.fallback()}
	v.class, _ = c.classes.Get("", binding.ClassOf(claim))
	v.volume, _ = c.volumes.Get("", claim.Spec.VolumeName)
	if claim.Spec.VolumeName == "" {
		v.volumes = append(c.volumes.By(volumesByClass, binding.ClassOf(claim)), c.volumes.By(volumesByClaim, key.String())...)
	} else if v.volume == nil {
		// What the cache does not show is no reason to call a claim lost.
		var err error
		if v.volume, err = c.volumeAPI.Get(ctx, "", claim.Spec.VolumeName); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read volume %s: %w", claim.Spec.VolumeName, err)
		}
	}
	return c.apply(ctx, claim, decideClaim(v))
}

func (c *Controller) syncVolume(ctx context.Context, name string) error {
	v, ok := c.volumes.Get("", name)
	if !ok {
		return nil
	}
	r := v.Spec.ClaimRef
	if r == nil || r.UID == "" {
		return c.apply(ctx, nil, decideVolume(v, nil))
	}
	claim, ok := c.claims.Get(r.Namespace, r.Name)
	if !ok || claim.UID != r.UID {
		// Data may be removed next: ask the server itself.
		var err error
		if claim, err = c.claimAPI.Get(ctx, r.Namespace, r.Name); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read claim %s/%s: %w", r.Namespace, r.Name, err)
		}
		if err != nil || claim.UID != r.UID {
			claim = nil
		}
	}
	return c.apply(ctx, claim, decideVolume(v, claim))
}

// fallback is the name of the default class, the newest of several; "" when there is none.
func (c *Controller) fallback() string {
	var best *storagev1.StorageClass
	for _, class := range c.classes.List() {
		if !isDefault(class) {
			continue
		}
		if best == nil || best.CreationTimestamp.Before(&class.CreationTimestamp) ||
			best.CreationTimestamp.Equal(&class.CreationTimestamp) && class.Name < best.Name {
			best = class
		}
	}
	if best == nil {
		return ""
	}
	return best.Name
}

func isDefault(c *storagev1.StorageClass) bool {
	return c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" || c.Annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true"
}
