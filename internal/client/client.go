// Package client is how every part upstairs sees the API: typed calls, live
// read-only caches, a work queue.
//
// Parts never know whether the server is in this process (local: shared
// objects, no encoding) or far away (remote: HTTPS and protobuf); both pass clienttest.
// Errors are apierrors of k8s.io/apimachinery in both cases. Read this file first.
package client

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
)

// Conn is the untyped connection that local and remote implement. It is safe for concurrent use.
// Objects that come out may be shared with others: DeepCopy before changing one. Objects that go in
// are not kept and not changed. Namespace is empty for cluster-scoped kinds, and in List and Watch for all namespaces.
type Conn interface {
	Registry() *api.Registry
	Get(ctx context.Context, k *api.Kind, namespace, name string, o metav1.GetOptions) (api.Object, error)
	List(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (List, error)
	// Watch delivers changes after o.ResourceVersion; with o.SendInitialEvents first everything that exists, then a
	// Bookmark that says so (annotation metav1.InitialEventsAnnotationKey).
	Watch(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (Watch, error)
	Create(ctx context.Context, k *api.Kind, obj api.Object, o metav1.CreateOptions) (api.Object, error)
	// Update replaces; subresource is "" or "status" and so on. An empty resourceVersion in obj overwrites whatever is there.
	Update(ctx context.Context, k *api.Kind, obj api.Object, subresource string, o metav1.UpdateOptions) (api.Object, error)
	Patch(ctx context.Context, k *api.Kind, namespace, name, subresource string, t types.PatchType, data []byte, o metav1.PatchOptions) (api.Object, error)
	Delete(ctx context.Context, k *api.Kind, namespace, name string, o metav1.DeleteOptions) error
	DeleteCollection(ctx context.Context, k *api.Kind, namespace string, d metav1.DeleteOptions, o metav1.ListOptions) error
	// Post creates a subresource (binding, eviction, token) and returns what the server answered.
	Post(ctx context.Context, k *api.Kind, namespace, name, subresource string, body runtime.Object) (runtime.Object, error)
}

// List is the answer to a list.
type List struct {
	Items           []api.Object
	ResourceVersion string
	Continue        string
}

// Event types of a Watch.
const (
	Added    = "ADDED"
	Modified = "MODIFIED"
	Deleted  = "DELETED"
	Bookmark = "BOOKMARK"
)

// Event is one change. Object is the object after it (before it, for Deleted, with
// the deletion's resourceVersion).
type Event struct {
	Type   string
	Object api.Object
}

// Watch is one running watch; it ends with its context.
type Watch interface {
	// Next blocks for at least one event. An error of reason Expired means: list again.
	Next() ([]Event, error)
	Close()
}

// Client is Conn for one type, T a pointer such as *corev1.Pod. Use For.
type Client[T api.Object] struct {
	conn Conn
	kind *api.Kind
}

// For makes the typed client of T's kind. It panics when T is not registered: that is a programming error.
func For[T api.Object](conn Conn) Client[T] {
	return Client[T]{conn, KindOf[T](conn.Registry())}
}

// KindOf finds the kind whose hub type is T.
func KindOf[T api.Object](r *api.Registry) *api.Kind {
	for _, k := range r.Kinds() {
		if _, ok := k.Hub().New().(T); ok {
			return k
		}
	}
	var zero T
	panic(runtime.NewNotRegisteredErrForType("registry", typeOf(zero)))
}

func typed[T api.Object](o api.Object, err error) (T, error) {
	if err != nil || o == nil {
		var zero T
		return zero, err
	}
	return o.(T), nil
}

// Get reads one object.
func (c Client[T]) Get(ctx context.Context, namespace, name string) (T, error) {
	return typed[T](c.conn.Get(ctx, c.kind, namespace, name, metav1.GetOptions{}))
}

// List reads all that match.
func (c Client[T]) List(ctx context.Context, namespace string, o metav1.ListOptions) ([]T, error) {
	l, err := c.conn.List(ctx, c.kind, namespace, o)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(l.Items))
	for i, o := range l.Items {
		out[i] = o.(T)
	}
	return out, nil
}

// Create creates obj and returns it as stored.
func (c Client[T]) Create(ctx context.Context, obj T) (T, error) {
	return typed[T](c.conn.Create(ctx, c.kind, obj, metav1.CreateOptions{}))
}

// Update replaces obj.
func (c Client[T]) Update(ctx context.Context, obj T) (T, error) {
	return typed[T](c.conn.Update(ctx, c.kind, obj, "", metav1.UpdateOptions{}))
}

// UpdateStatus replaces obj's status.
func (c Client[T]) UpdateStatus(ctx context.Context, obj T) (T, error) {
	return typed[T](c.conn.Update(ctx, c.kind, obj, "status", metav1.UpdateOptions{}))
}

// Patch patches by name; subresource may be "".
func (c Client[T]) Patch(ctx context.Context, namespace, name, subresource string, t types.PatchType, data []byte) (T, error) {
	return typed[T](c.conn.Patch(ctx, c.kind, namespace, name, subresource, t, data, metav1.PatchOptions{}))
}

// Delete deletes by name.
func (c Client[T]) Delete(ctx context.Context, namespace, name string, o metav1.DeleteOptions) error {
	return c.conn.Delete(ctx, c.kind, namespace, name, o)
}

// Post creates a subresource of the named object.
func (c Client[T]) Post(ctx context.Context, namespace, name, subresource string, body runtime.Object) (runtime.Object, error) {
	return c.conn.Post(ctx, c.kind, namespace, name, subresource, body)
}
