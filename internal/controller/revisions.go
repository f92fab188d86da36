package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

const maxCollisions = 10 // names tried for one template

// Revisions keeps the pod templates that owners of one kind had, as ControllerRevisions. Use NewRevisions.
type Revisions struct {
	kind  schema.GroupVersionKind
	cache client.Cache[*appsv1.ControllerRevision]
	api   client.Client[*appsv1.ControllerRevision]
}

// NewRevisions makes the keeper for owners of a kind. Call before the caches run.
func NewRevisions(d Deps, kind schema.GroupVersionKind) Revisions {
	r := Revisions{kind, client.CacheOf[*appsv1.ControllerRevision](d.Caches), client.For[*appsv1.ControllerRevision](d.Conn)}
	IndexByOwner(r.cache)
	return r
}

// Of are the revisions of owner, oldest first; those without an owner that match are adopted.
func (r Revisions) Of(ctx context.Context, owner api.Object, s labels.Selector, alive func() error) ([]*appsv1.ControllerRevision, error) {
	claim := Owned(r.cache, owner, s)
	claim.Mine, claim.Release = append(claim.Mine, claim.Release...), nil // its own stay, whatever their labels
	all, err := claim.Settle(ctx, r.api, RefTo(owner, r.kind), alive)
	slices.SortFunc(all, func(a, b *appsv1.ControllerRevision) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return all, err
}

// Newest makes t the newest of owner's revisions all (as Of sorts them). It returns that revision and how many
// collisions of names there were so far.
func (r Revisions) Newest(ctx context.Context, owner api.Object, t *corev1.PodTemplateSpec, all []*appsv1.ControllerRevision, collisions *int32) (*appsv1.ControllerRevision, *int32, error) {
	data, err := snapshot(t)
	if err != nil {
		return nil, collisions, fmt.Errorf("encode template: %w", err)
	}
	number := int64(1)
	if len(all) > 0 {
		number = all[len(all)-1].Revision + 1
	}
	for i, have := range slices.Backward(all) {
		if !holds(have, data, t) {
			continue
		}
		if i == len(all)-1 {
			return have, collisions, nil
		}
		next := have.DeepCopy()
		next.Revision = number
		if next, err = r.api.Update(ctx, next); err != nil {
			return nil, collisions, fmt.Errorf("renew revision %s: %w", have.Name, err)
		}
		return next, collisions, nil
	}
	return r.create(ctx, owner, t, data, number, collisions)
}

func (r Revisions) create(ctx context.Context, owner api.Object, t *corev1.PodTemplateSpec, data []byte, number int64, collisions *int32) (*appsv1.ControllerRevision, *int32, error) {
	for range maxCollisions {
		hash := HashTemplate(t, collisions)
		rev := &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: owner.GetNamespace(), Name: short(owner.GetName()) + "-" + hash, Labels: maps.Clone(t.Labels),
				Annotations: maps.Clone(owner.GetAnnotations()), OwnerReferences: []metav1.OwnerReference{RefTo(owner, r.kind)},
			},
			Data: runtime.RawExtension{Raw: data}, Revision: number,
		}
		metav1.SetMetaDataLabel(&rev.ObjectMeta, appsv1.ControllerRevisionHashLabelKey, hash)
		got, err := r.api.Create(ctx, rev)
		if err == nil {
			return got, collisions, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, collisions, fmt.Errorf("create revision %s: %w", rev.Name, err)
		}
		have, err := r.api.Get(ctx, rev.Namespace, rev.Name)
		if err != nil {
			return nil, collisions, fmt.Errorf("read revision %s: %w", rev.Name, err)
		}
		if ref := metav1.GetControllerOf(have); ref != nil && ref.UID == owner.GetUID() && holds(have, data, t) {
			return have, collisions, nil // ours: the cache has yet to see it
		}
		n := int32(1)
		if collisions != nil {
			n = *collisions + 1
		}
		collisions = &n
	}
	return nil, collisions, fmt.Errorf("create revision of %s: all names tried are taken", owner.GetName())
}

// short leaves room for a hash in a name.
func short(name string) string { return name[:min(len(name), 223)] }

// Forget deletes the oldest revisions beyond limit that are not used by their name or hash.
func (r Revisions) Forget(ctx context.Context, all []*appsv1.ControllerRevision, limit *int32, used map[string]bool) error {
	if limit == nil {
		return nil
	}
	free := slices.DeleteFunc(slices.Clone(all), func(rev *appsv1.ControllerRevision) bool {
		return used[rev.Name] || used[rev.Labels[appsv1.ControllerRevisionHashLabelKey]]
	})
	for _, rev := range free[:max(0, len(free)-int(*limit))] {
		if err := r.api.Delete(ctx, rev.Namespace, rev.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete revision %s: %w", rev.Name, err)
		}
	}
	return nil
}

// snapshot is the template in the form that kubectl rollout history and undo read.
func snapshot(t *corev1.PodTemplateSpec) ([]byte, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(t)
	if err != nil {
		return nil, err
	}
	m["$patch"] = "replace"
	return json.Marshal(map[string]any{"spec": map[string]any{"template": m}})
}

// holds is whether a revision is of template t, whose snapshot is data. Other versions may have encoded it differently.
func holds(rev *appsv1.ControllerRevision, data []byte, t *corev1.PodTemplateSpec) bool {
	if string(rev.Data.Raw) == string(data) {
		return true
	}
	had, err := RevisionTemplate(rev)
	return err == nil && equality.Semantic.DeepEqual(had, t)
}

// RevisionTemplate is the template that a revision holds.
func RevisionTemplate(rev *appsv1.ControllerRevision) (*corev1.PodTemplateSpec, error) {
	var doc struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(rev.Data.Raw, &doc); err != nil {
		return nil, fmt.Errorf("decode revision %s: %w", rev.Name, err)
	}
	return &doc.Spec.Template, nil
}
