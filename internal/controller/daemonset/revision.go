package daemonset

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/controller"
)

// snapshot is the template in the form that kubectl rollout history and undo read.
func snapshot(t *corev1.PodTemplateSpec) ([]byte, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(t)
	if err != nil {
		return nil, err
	}
	m["$patch"] = "replace"
	return json.Marshal(map[string]any{"spec": map[string]any{"template": m}})
}

// revision makes the ControllerRevision of ds' template exist as the newest, and returns its hash.
func (c *Controller) revision(ctx context.Context, ds *appsv1.DaemonSet, pods []*corev1.Pod) (string, error) {
	data, err := snapshot(&ds.Spec.Template)
	if err != nil {
		return "", fmt.Errorf("encode template: %w", err)
	}
	all := controller.Children(c.revisions, ds.UID)
	slices.SortFunc(all, func(a, b *appsv1.ControllerRevision) int { return int(a.Revision - b.Revision) })
	var current *appsv1.ControllerRevision
	newest := int64(0)
	for _, r := range all {
		newest = r.Revision
		if string(r.Data.Raw) == string(data) {
			current = r
		}
	}
	hash := controller.HashTemplate(&ds.Spec.Template, ds.Status.CollisionCount)
	switch {
	case current == nil:
		labels := maps.Clone(ds.Spec.Template.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[appsv1.DefaultDaemonSetUniqueLabelKey] = hash
		_, err := c.revisionAPI.Create(ctx, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: ds.Namespace, Name: ds.Name + "-" + hash, Labels: labels, Annotations: maps.Clone(ds.Annotations), OwnerReferences: []metav1.OwnerReference{controller.RefTo(ds, kind)}},
			Data:       runtime.RawExtension{Raw: data}, Revision: newest + 1,
		})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return "", fmt.Errorf("create revision: %w", err)
		}
	case current.Revision < newest:
		next := current.DeepCopy()
		next.Revision = newest + 1
		if _, err := c.revisionAPI.Update(ctx, next); err != nil {
			return "", fmt.Errorf("renew revision %s: %w", next.Name, err)
		}
		fallthrough
	default:
		hash = current.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]
	}
	return hash, c.forget(ctx, ds, all, pods, hash)
}

// forget deletes the oldest revisions beyond the limit that no pod has.
func (c *Controller) forget(ctx context.Context, ds *appsv1.DaemonSet, all []*appsv1.ControllerRevision, pods []*corev1.Pod, hash string) error {
	if ds.Spec.RevisionHistoryLimit == nil {
		return nil
	}
	used := map[string]bool{hash: true}
	for _, p := range pods {
		used[p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] = true
	}
	free := slices.DeleteFunc(all, func(r *appsv1.ControllerRevision) bool { return used[r.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] })
	for _, r := range free[:max(0, len(free)-int(*ds.Spec.RevisionHistoryLimit))] {
		if err := c.revisionAPI.Delete(ctx, r.Namespace, r.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete revision %s: %w", r.Name, err)
		}
	}
	return nil
}
