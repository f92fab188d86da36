// Package kit holds the small parts kinds are put together from: served
// versions, status handling, subresources, columns.
//
// It must not know any kind. Read this file first, then columns.go.
package kit

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// Ptr is a pointer to T that is an API object.
type Ptr[T any] interface {
	*T
	api.Object
}

// ListPtr is a pointer to L that is a list.
type ListPtr[L any] interface {
	*L
	runtime.Object
}

// Served is a version with the Go type T and the list type L.
func Served[T, L any, P Ptr[T], LP ListPtr[L]](gv schema.GroupVersion) api.Version {
	return api.Version{
		Group: gv.Group, Version: gv.Version,
		New:     func() api.Object { return P(new(T)) },
		NewList: func() runtime.Object { return LP(new(L)) },
	}
}

// ServedAlone is a version of a virtual kind, which has no list.
func ServedAlone[T any, P Ptr[T]](gv schema.GroupVersion) api.Version {
	return api.Version{Group: gv.Group, Version: gv.Version, New: func() api.Object { return P(new(T)) }}
}

// On makes a function of a concrete type fit api.Kind. It panics on any other type: the
// server only calls a kind's functions with that kind's hub type.
func On[T any, P Ptr[T]](f func(P)) func(api.Object) { return func(o api.Object) { f(o.(P)) } }

// OnBoth is On for functions of new and old.
func OnBoth[T any, P Ptr[T]](f func(obj, old P)) func(obj, old api.Object) {
	return func(obj, old api.Object) { f(obj.(P), old.(P)) }
}

// To is On for functions with a result.
func To[R, T any, P Ptr[T]](f func(P) R) func(api.Object) R {
	return func(o api.Object) R { return f(o.(P)) }
}

// ToBoth is OnBoth for functions with a result.
func ToBoth[R, T any, P Ptr[T]](f func(obj, old P) R) func(obj, old api.Object) R {
	return func(obj, old api.Object) R { return f(obj.(P), old.(P)) }
}

// Halves are the spec and the status of a kind: who writes one may not touch the other.
type Halves[T, Spec, Status any, P Ptr[T]] struct {
	spec   func(P) *Spec
	status func(P) *Status
}

// Split names the halves of T.
func Split[T, Spec, Status any, P Ptr[T]](spec func(P) *Spec, status func(P) *Status) Halves[T, Spec, Status, P] {
	return Halves[T, Spec, Status, P]{spec, status}
}

// ClearStatus is a PrepareCreate.
func (h Halves[T, Spec, Status, P]) ClearStatus(o api.Object) {
	var zero Status
	*h.status(o.(P)) = zero
}

// KeepStatus is a PrepareUpdate. Afterwards obj and old share the status' memory.
func (h Halves[T, Spec, Status, P]) KeepStatus(obj, old api.Object) {
	*h.status(obj.(P)) = *h.status(old.(P))
}

// KeepSpec prepares an update of the status. Afterwards obj and old share the spec's memory.
func (h Halves[T, Spec, Status, P]) KeepSpec(obj, old api.Object) {
	*h.spec(obj.(P)) = *h.spec(old.(P))
	obj.SetOwnerReferences(old.GetOwnerReferences())
}

// StatusSub is the status subresource.
func (h Halves[T, Spec, Status, P]) StatusSub() api.Subresource {
	return api.Subresource{Name: "status", Verbs: ReadWrite, Prepare: h.KeepSpec}
}

// KeepSpecAndMeta is KeepSpec for the kinds whose status writers may not touch metadata either.
func (h Halves[T, Spec, Status, P]) KeepSpecAndMeta(obj, old api.Object) {
	h.KeepSpec(obj, old)
	metav1.ResetObjectMetaForStatus(obj, old)
}
