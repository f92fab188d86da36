package controller

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

const ownerIndex = "controller"

// IndexByOwner lets Owned find the objects that a controller has or could adopt. Call before Run.
func IndexByOwner[T api.Object](c client.Cache[T]) {
	c.Index(ownerIndex, func(o T) []string {
		if ref := metav1.GetControllerOf(o); ref != nil {
			return []string{string(ref.UID)}
		}
		return []string{orphans(o.GetNamespace())}
	})
}

// Children are the objects whose controller has the UID. The cache needs IndexByOwner.
func Children[T api.Object](c client.Cache[T], owner types.UID) []T {
	return c.By(ownerIndex, string(owner))
}

func orphans(namespace string) string { return "orphans of " + namespace }

// Claim is what an owner's selector means for objects: which are its own, which to take, which to let go.
type Claim[T api.Object] struct{ Mine, Adopt, Release []T }

// Owned claims objects of a cache with IndexByOwner for owner, as upstream's ControllerRefManager does.
func Owned[T api.Object](c client.Cache[T], owner api.Object, s labels.Selector) Claim[T] {
	var out Claim[T]
	leaving := owner.GetDeletionTimestamp() != nil
	for _, o := range c.By(ownerIndex, string(owner.GetUID())) {
		if leaving || s.Matches(labels.Set(o.GetLabels())) {
			out.Mine = append(out.Mine, o)
		} else {
			out.Release = append(out.Release, o)
		}
	}
	if leaving || s.Empty() {
		return out
	}
	for _, o := range c.By(ownerIndex, orphans(owner.GetNamespace())) {
		if o.GetDeletionTimestamp() == nil && s.Matches(labels.Set(o.GetLabels())) {
			out.Adopt = append(out.Adopt, o)
		}
	}
	return out
}

// Settle carries a claim out and returns what owner has now. alive rereads the owner from the server before
// anything is adopted: a deleted owner must not adopt.
func (c Claim[T]) Settle(ctx context.Context, api client.Client[T], ref metav1.OwnerReference, alive func() error) ([]T, error) {
	mine := c.Mine
	for _, o := range c.Release {
		patch := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"$patch":"delete","uid":%q}],"uid":%q}}`, ref.UID, o.GetUID())
		_, err := api.Patch(ctx, o.GetNamespace(), o.GetName(), "", types.StrategicMergePatchType, []byte(patch))
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsInvalid(err) {
			return mine, fmt.Errorf("release %s: %w", o.GetName(), err)
		}
	}
	if len(c.Adopt) > 0 {
		if err := alive(); err != nil {
			return mine, err
		}
	}
	for _, o := range c.Adopt {
		doc, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{ref}, "uid": o.GetUID()}})
		if err != nil {
			return mine, err
		}
		got, err := api.Patch(ctx, o.GetNamespace(), o.GetName(), "", types.StrategicMergePatchType, doc)
		switch {
		case apierrors.IsNotFound(err) || apierrors.IsInvalid(err):
		case err != nil:
			return mine, fmt.Errorf("adopt %s: %w", o.GetName(), err)
		default:
			mine = append(mine, got)
		}
	}
	return mine, nil
}

// Alive is an alive function for Settle.
func Alive[T api.Object](ctx context.Context, c client.Client[T], owner T) func() error {
	return func() error {
		now, err := c.Get(ctx, owner.GetNamespace(), owner.GetName())
		switch {
		case err != nil:
			return err
		case now.GetUID() != owner.GetUID():
			return fmt.Errorf("%s was replaced by another of the same name", owner.GetName())
		case now.GetDeletionTimestamp() != nil:
			return fmt.Errorf("%s has just been deleted", owner.GetName())
		}
		return nil
	}
}

// RefTo is the owner reference that a controller gives its objects.
func RefTo(o metav1.Object, gvk schema.GroupVersionKind) metav1.OwnerReference {
	return *metav1.NewControllerRef(o, gvk)
}

// OwnerKey is the key of o's controller if that is of the kind.
func OwnerKey(o metav1.Object, kind schema.GroupKind) (Key, bool) {
	ref := metav1.GetControllerOf(o)
	if ref == nil || ref.Kind != kind.Kind {
		return Key{}, false
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	return Key{Namespace: o.GetNamespace(), Name: ref.Name}, err == nil && gv.Group == kind.Group
}
