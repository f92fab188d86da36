package client

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
)

const conflictRetries = 5

// Mutate reads an object, lets change modify a copy and writes it when that differs; it starts again when
// somebody else wrote in between. It returns the object as it is afterwards.
func Mutate[T api.Object](ctx context.Context, c Client[T], namespace, name string, change func(T) error) (T, error) {
	return mutate(ctx, c, namespace, name, "", change)
}

// MutateStatus is Mutate through the status subresource.
func MutateStatus[T api.Object](ctx context.Context, c Client[T], namespace, name string, change func(T) error) (T, error) {
	return mutate(ctx, c, namespace, name, "status", change)
}

func mutate[T api.Object](ctx context.Context, c Client[T], namespace, name, subresource string, change func(T) error) (T, error) {
	for try := 0; ; try++ {
		old, err := c.Get(ctx, namespace, name)
		if err != nil {
			return old, err
		}
		obj := old.DeepCopyObject().(T)
		if err := change(obj); err != nil {
			return old, err
		}
		if equality.Semantic.DeepEqual(old, obj) {
			return old, nil
		}
		obj, err = c.UpdateSub(ctx, obj, subresource)
		if !apierrors.IsConflict(err) || try == conflictRetries {
			return obj, err
		}
	}
}

// UpdateSub replaces obj through a subresource.
func (c Client[T]) UpdateSub(ctx context.Context, obj T, subresource string) (T, error) {
	return typed[T](c.conn.Update(ctx, c.kind, obj, subresource, metav1.UpdateOptions{}))
}

// Kind of the objects.
func (c Client[T]) Kind() *api.Kind { return c.kind }
