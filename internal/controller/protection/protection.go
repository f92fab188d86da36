// Package protection lets go of storage objects that are to be deleted: claims, volumes and classes carry a
// finalizer from their admission on, and lose it here when nobody uses them any more.
package protection

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller releases objects of one kind. Use NewClaims, NewVolumes or NewClasses.
type Controller[T api.Object] struct {
	*controller.Loop
	objects   client.Cache[T]
	api       client.Client[T]
	finalizer string
	used      func(T) bool
}

func begin[T api.Object](d controller.Deps, name, finalizer string) *Controller[T] {
	c := &Controller[T]{objects: client.CacheOf[T](d.Caches), api: client.For[T](d.Conn), finalizer: finalizer}
	c.Loop = controller.NewLoop(d, name, c.sync)
	c.Workers = 1
	controller.Changed(c.Loop, c.objects)
	return c
}

func (c *Controller[T]) sync(ctx context.Context, key controller.Key) error {
	obj, ok := c.objects.Get(key.Namespace, key.Name)
	if !ok || obj.GetDeletionTimestamp() == nil || !slices.Contains(obj.GetFinalizers(), c.finalizer) || c.used(obj) {
		return nil
	}
	next := obj.DeepCopyObject().(T)
	next.SetFinalizers(slices.DeleteFunc(next.GetFinalizers(), func(f string) bool { return f == c.finalizer }))
	if _, err := c.api.Update(ctx, next); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove finalizer: %w", err)
	}
	return nil
}

// NewClaims: a claim is in use while a pod that has a node names it.
func NewClaims(d controller.Deps) *Controller[*corev1.PersistentVolumeClaim] {
	const byClaim = "claim"
	c := begin[*corev1.PersistentVolumeClaim](d, "persistentvolumeclaim-protection-controller", "kubernetes.io/pvc-protection")
	pods := client.CacheOf[*corev1.Pod](d.Caches)
	pods.Index(byClaim, func(p *corev1.Pod) (keys []string) {
		for _, name := range claims(p) {
			keys = append(keys, p.Namespace+"/"+name)
		}
		return keys
	})
	pods.Subscribe(func(old, p *corev1.Pod) {
		if old == nil || p != nil && (!shutDown(p) || shutDown(old)) {
			return // one more user changes nothing
		}
		for _, name := range claims(old) {
			if pvc, ok := c.objects.Get(old.Namespace, name); ok {
				c.AddObject(pvc)
			}
		}
	})
	c.used = func(pvc *corev1.PersistentVolumeClaim) bool {
		return slices.ContainsFunc(pods.By(byClaim, pvc.Namespace+"/"+pvc.Name), func(p *corev1.Pod) bool { return uses(p, pvc) })
	}
	return c
}

// claims are the names of the claims that a pod has.
func claims(p *corev1.Pod) (names []string) {
	for i := range p.Spec.Volumes {
		if name, _ := binding.ClaimOf(p.Name, &p.Spec.Volumes[i]); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// uses is whether a pod needs a claim that it names. A pod that is deleted with its dependents waits for its own
// claims to go first, so they may once nothing of it runs.
func uses(p *corev1.Pod, pvc *corev1.PersistentVolumeClaim) bool {
	return p.Spec.NodeName != "" && slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		name, own := binding.ClaimOf(p.Name, &v)
		return name == pvc.Name && (!own || !shutDown(p) && metav1.IsControlledBy(pvc, p))
	})
}

// shutDown is whether the node is done with a pod, or was not waited for.
func shutDown(p *corev1.Pod) bool {
	return p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil && *p.DeletionGracePeriodSeconds == 0
}

// NewVolumes: a volume is in use while it is bound.
func NewVolumes(d controller.Deps) *Controller[*corev1.PersistentVolume] {
	c := begin[*corev1.PersistentVolume](d, "persistentvolume-protection-controller", "kubernetes.io/pv-protection")
	c.used = func(pv *corev1.PersistentVolume) bool { return pv.Status.Phase == corev1.VolumeBound }
	return c
}

// NewClasses: a class of volume attributes is in use while a claim or a volume has it, or is to get it.
func NewClasses(d controller.Deps) *Controller[*storagev1.VolumeAttributesClass] {
	const byClass = "attributes class"
	c := begin[*storagev1.VolumeAttributesClass](d, "volumeattributesclass-protection-controller", "kubernetes.io/vac-protection")
	pvcs, pvs := client.CacheOf[*corev1.PersistentVolumeClaim](d.Caches), client.CacheOf[*corev1.PersistentVolume](d.Caches)
	pvcs.Index(byClass, classesOfClaim)
	pvs.Index(byClass, classesOfVolume)
	wake := func(names []string) {
		for _, name := range names {
			if class, ok := c.objects.Get("", name); ok {
				c.AddObject(class)
			}
		}
	}
	pvcs.Subscribe(func(old, _ *corev1.PersistentVolumeClaim) {
		if old != nil {
			wake(classesOfClaim(old))
		}
	})
	pvs.Subscribe(func(old, _ *corev1.PersistentVolume) {
		if old != nil {
			wake(classesOfVolume(old))
		}
	})
	c.used = func(class *storagev1.VolumeAttributesClass) bool {
		return len(pvcs.By(byClass, class.Name)) > 0 || len(pvs.By(byClass, class.Name)) > 0
	}
	return c
}

func classesOfClaim(c *corev1.PersistentVolumeClaim) []string {
	names := named(c.Spec.VolumeAttributesClassName, c.Status.CurrentVolumeAttributesClassName)
	if m := c.Status.ModifyVolumeStatus; m != nil && m.TargetVolumeAttributesClassName != "" {
		names = append(names, m.TargetVolumeAttributesClassName)
	}
	return names
}

func classesOfVolume(v *corev1.PersistentVolume) []string {
	return named(v.Spec.VolumeAttributesClassName)
}

func named(names ...*string) (out []string) {
	for _, n := range names {
		if n != nil && *n != "" && !slices.Contains(out, *n) {
			out = append(out, *n)
		}
	}
	return out
}
