package apiserver

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
)

type deleteAction uint8

const (
	deleteNow deleteAction = iota
	deleteMark
	deleteNothing
)

type deletePlan struct {
	action deleteAction
	obj    api.Object // to be stored, for deleteMark
}

// planDelete decides what a deletion does, as upstream's registry does (k8s.io/apiserver
// pkg/registry/rest/delete.go and generic/registry/store.go). d is not changed.
//
//	alive ──graceful or finalizers──▶ marked (deletionTimestamp) ──shorter grace──▶ marked
//	  └──────────── neither ─────────▶ gone ◀── no finalizers, grace 0 ──────┘
func planDelete(k *api.Kind, old api.Object, d *metav1.DeleteOptions, now metav1.Time) deletePlan {
	if ns, ok := old.(*corev1.Namespace); ok {
		return planNamespace(ns, d, now)
	}
	obj := old.DeepCopyObject().(api.Object)
	if k.BeginDelete != nil && old.GetDeletionTimestamp() == nil {
		k.BeginDelete(obj)
	}
	graceful, nothing := beginGrace(k, obj, d, now)
	if nothing {
		return deletePlan{action: deleteNothing}
	}
	grace := int64(0)
	if g := obj.GetDeletionGracePeriodSeconds(); graceful && g != nil {
		grace = *g
	}
	finalizers := finalizersFor(k, obj, d)
	changed := !sameSet(finalizers, old.GetFinalizers())
	if changed {
		obj.SetFinalizers(finalizers)
	}
	if len(finalizers) > 0 {
		if !graceful {
			markDeleting(obj, now)
		}
		if !changed && old.GetDeletionTimestamp() != nil && !graceful {
			return deletePlan{action: deleteNothing}
		}
		return deletePlan{deleteMark, obj}
	}
	if graceful && grace > 0 {
		return deletePlan{deleteMark, obj}
	}
	return deletePlan{action: deleteNow}
}

// beginGrace sets or shortens the grace period of obj, for kinds that have one. nothing: a deletion is under way and this one adds nothing.
func beginGrace(k *api.Kind, obj api.Object, d *metav1.DeleteOptions, now metav1.Time) (graceful, nothing bool) {
	if k.Graceful == nil {
		return false, false
	}
	if at := obj.GetDeletionTimestamp(); at != nil {
		have := obj.GetDeletionGracePeriodSeconds()
		if have == nil {
			return false, false
		}
		if d.GracePeriodSeconds == nil || *d.GracePeriodSeconds >= *have {
			return false, !(*have == 0 && len(obj.GetFinalizers()) == 0)
		}
		period := *d.GracePeriodSeconds
		t := metav1.NewTime(at.Add(time.Duration(period-*have) * time.Second))
		obj.SetDeletionTimestamp(&t)
		obj.SetDeletionGracePeriodSeconds(&period)
		return true, false
	}
	period := k.Graceful(obj, d.GracePeriodSeconds)
	if period < 0 {
		period = 1
	}
	t := metav1.NewTime(now.Add(time.Duration(period) * time.Second))
	obj.SetDeletionTimestamp(&t)
	obj.SetDeletionGracePeriodSeconds(&period)
	if obj.GetGeneration() > 0 {
		obj.SetGeneration(obj.GetGeneration() + 1)
	}
	return true, false
}

func markDeleting(obj api.Object, now metav1.Time) {
	if obj.GetGeneration() > 0 && obj.GetDeletionTimestamp() == nil {
		obj.SetGeneration(obj.GetGeneration() + 1)
	}
	if at := obj.GetDeletionTimestamp(); at == nil || at.After(now.Time) {
		obj.SetDeletionTimestamp(&now)
	}
	var zero int64
	obj.SetDeletionGracePeriodSeconds(&zero)
}

// finalizersFor adds and removes the garbage collector's finalizers as the propagation policy says.
func finalizersFor(k *api.Kind, obj api.Object, d *metav1.DeleteOptions) []string {
	orphan, foreground := propagation(k, obj, d)
	var out []string
	for _, f := range obj.GetFinalizers() {
		if f != metav1.FinalizerOrphanDependents && f != metav1.FinalizerDeleteDependents {
			out = append(out, f)
		}
	}
	if orphan {
		out = append(out, metav1.FinalizerOrphanDependents)
	}
	if foreground {
		out = append(out, metav1.FinalizerDeleteDependents)
	}
	return out
}

func propagation(k *api.Kind, obj api.Object, d *metav1.DeleteOptions) (orphan, foreground bool) {
	if k.Resource == "events" {
		return false, false
	}
	if d.OrphanDependents != nil {
		return *d.OrphanDependents, false
	}
	if d.PropagationPolicy != nil {
		return *d.PropagationPolicy == metav1.DeletePropagationOrphan, *d.PropagationPolicy == metav1.DeletePropagationForeground
	}
	has := obj.GetFinalizers()
	if slices.Contains(has, metav1.FinalizerOrphanDependents) {
		return true, false
	}
	if slices.Contains(has, metav1.FinalizerDeleteDependents) {
		return false, true
	}
	return k.DefaultOrphan, false
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// planNamespace: a namespace is marked first and goes when its spec has no finalizers.
func planNamespace(old *corev1.Namespace, d *metav1.DeleteOptions, now metav1.Time) deletePlan {
	if old.DeletionTimestamp == nil {
		ns := old.DeepCopy()
		ns.DeletionTimestamp = &now
		ns.Status.Phase = corev1.NamespaceTerminating
		ns.Finalizers = slices.DeleteFunc(ns.Finalizers, func(f string) bool { return f == metav1.FinalizerOrphanDependents })
		if d.PropagationPolicy != nil && *d.PropagationPolicy == metav1.DeletePropagationOrphan {
			ns.Finalizers = append(ns.Finalizers, metav1.FinalizerOrphanDependents)
		}
		if len(ns.Spec.Finalizers) == 0 && len(ns.Finalizers) == 0 {
			return deletePlan{action: deleteNow}
		}
		return deletePlan{deleteMark, ns}
	}
	if len(old.Spec.Finalizers) > 0 || len(old.Finalizers) > 0 {
		return deletePlan{action: deleteNothing}
	}
	return deletePlan{action: deleteNow}
}

// completesDeletion reports that an update of an object that is being deleted took away the last thing it waited for.
func completesDeletion(obj, old api.Object) bool {
	if len(obj.GetFinalizers()) > 0 || old.GetDeletionTimestamp() == nil {
		return false
	}
	if ns, ok := obj.(*corev1.Namespace); ok && len(ns.Spec.Finalizers) > 0 {
		return false
	}
	g := old.GetDeletionGracePeriodSeconds()
	return g == nil || *g == 0
}
