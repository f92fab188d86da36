package scheduler

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
)

// storage answers cluster.Storage from the caches.
type storage struct {
	claims  client.Cache[*corev1.PersistentVolumeClaim]
	volumes client.Cache[*corev1.PersistentVolume]
	classes client.Cache[*storagev1.StorageClass]
}

// suitable is an index of the volumes that a claim could take: free ones by class, reserved ones by claim.
const suitable = "what claims could take"

func newStorage(c Config) *storage {
	s := &storage{
		claims:  client.CacheOf[*corev1.PersistentVolumeClaim](c.Caches),
		volumes: client.CacheOf[*corev1.PersistentVolume](c.Caches),
		classes: client.CacheOf[*storagev1.StorageClass](c.Caches),
	}
	s.volumes.Index(suitable, func(v *corev1.PersistentVolume) []string {
		if r := v.Spec.ClaimRef; r != nil {
			return []string{r.Namespace + "/" + r.Name}
		}
		return []string{binding.ClassOfVolume(v)}
	})
	return s
}

// follow lets pods with claims be tried again when something about volumes changes.
func (t *storage) follow(s *Scheduler) {
	t.claims.Subscribe(func(old, claim *corev1.PersistentVolumeClaim) { s.later(func() { s.claimChanged(old, claim) }) })
	t.volumes.Subscribe(func(_, v *corev1.PersistentVolume) {
		if v != nil {
			s.later(s.volumesChanged)
		}
	})
	t.classes.Subscribe(func(_, class *storagev1.StorageClass) {
		if class != nil {
			s.later(s.queue.unparkClaims)
		}
	})
}

func (t *storage) Claim(namespace, name string) *corev1.PersistentVolumeClaim {
	c, _ := t.claims.Get(namespace, name)
	return c
}

func (t *storage) Volume(name string) *corev1.PersistentVolume {
	v, _ := t.volumes.Get("", name)
	return v
}

func (t *storage) Class(name string) *storagev1.StorageClass {
	c, _ := t.classes.Get("", name)
	return c
}

func (t *storage) Suitable(c *corev1.PersistentVolumeClaim) []*corev1.PersistentVolume {
	return append(t.volumes.By(suitable, binding.ClassOf(c)), t.volumes.By(suitable, c.Namespace+"/"+c.Name)...)
}
