package clienttest

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
)

// Delete is client.Conn's.
func (f *Fake) Delete(_ context.Context, k *api.Kind, namespace, name string, o metav1.DeleteOptions) error {
	f.mu.Lock()
	old, err := f.get(k, namespace, name)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f.before("delete", "", k, old); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, err = f.get(k, namespace, name); err != nil {
		return err
	}
	return f.delete(k, old, o)
}

func (f *Fake) delete(k *api.Kind, old api.Object, o metav1.DeleteOptions) error {
	if p := o.Preconditions; p != nil {
		if p.UID != nil && *p.UID != old.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != old.GetResourceVersion() {
			return apierrors.NewConflict(k.GroupResource(), old.GetName(), fmt.Errorf("the precondition of the deletion failed"))
		}
	}
	obj := old.DeepCopyObject().(api.Object)
	obj.SetFinalizers(propagate(obj.GetFinalizers(), k, o))
	grace := int64(0)
	if k.Graceful != nil {
		grace = k.Graceful(old, o.GracePeriodSeconds)
	}
	if had := old.GetDeletionGracePeriodSeconds(); old.GetDeletionTimestamp() != nil && had != nil {
		grace = min(grace, *had)
	}
	if grace == 0 && len(obj.GetFinalizers()) == 0 && !held(k, obj) {
		f.commit(k, old, nil)
		return nil
	}
	if obj.GetDeletionTimestamp() == nil || grace < *obj.GetDeletionGracePeriodSeconds() {
		at := metav1.NewTime(time.Now().Truncate(time.Second).Add(time.Duration(grace) * time.Second))
		obj.SetDeletionTimestamp(&at)
		obj.SetDeletionGracePeriodSeconds(&grace)
		if k.HasGeneration {
			obj.SetGeneration(obj.GetGeneration() + 1)
		}
	}
	f.commit(k, old, obj)
	return nil
}

// held is a namespace whose content is not yet gone.
func held(k *api.Kind, obj api.Object) bool {
	ns, ok := obj.(*corev1.Namespace)
	return ok && len(ns.Spec.Finalizers) > 0
}

// waitsGrace is a pod that its node has yet to stop.
func waitsGrace(obj api.Object) bool {
	g := obj.GetDeletionGracePeriodSeconds()
	return g != nil && *g > 0
}

func propagate(finalizers []string, k *api.Kind, o metav1.DeleteOptions) []string {
	var policy metav1.DeletionPropagation
	switch {
	case o.PropagationPolicy != nil:
		policy = *o.PropagationPolicy
	case o.OrphanDependents != nil && *o.OrphanDependents || o.OrphanDependents == nil && k.DefaultOrphan:
		policy = metav1.DeletePropagationOrphan
	default:
		return finalizers
	}
	out := slices.DeleteFunc(slices.Clone(finalizers), func(s string) bool {
		return s == metav1.FinalizerDeleteDependents || s == metav1.FinalizerOrphanDependents
	})
	switch policy {
	case metav1.DeletePropagationForeground:
		out = append(out, metav1.FinalizerDeleteDependents)
	case metav1.DeletePropagationOrphan:
		out = append(out, metav1.FinalizerOrphanDependents)
	}
	return out
}

// DeleteCollection is client.Conn's.
func (f *Fake) DeleteCollection(_ context.Context, k *api.Kind, namespace string, d metav1.DeleteOptions, o metav1.ListOptions) error {
	match, err := matcher(k, namespace, o)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, obj := range f.objects[k] {
		if match(obj) {
			if err := f.delete(k, obj, d); err != nil {
				return err
			}
		}
	}
	return nil
}
