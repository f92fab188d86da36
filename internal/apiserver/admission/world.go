package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// world is what steps look at.
type world struct {
	request.Reader
	authorizer request.Authorizer
}

// find reads one object of a registered kind.
func find[T api.Object](r request.Reader, group, resource, namespace, name string) (T, bool) {
	var zero T
	k := r.Registry().Resource(schema.GroupResource{Group: group, Resource: resource})
	if k == nil || name == "" {
		return zero, false
	}
	o, ok := r.Get(k, namespace, name)
	if !ok {
		return zero, false
	}
	t, ok := o.(T)
	return t, ok
}

// all reads every object of a registered kind, in namespace or everywhere.
func all[T api.Object](r request.Reader, group, resource, namespace string) (out []T) {
	k := r.Registry().Resource(schema.GroupResource{Group: group, Resource: resource})
	if k == nil {
		return nil
	}
	r.Each(k, namespace, func(o api.Object) bool {
		if t, ok := o.(T); ok {
			out = append(out, t)
		}
		return true
	})
	return out
}

// on reports whether a write is one of ops on a resource and one of the subresources; "" is the object itself.
func on(w *request.Write, group, resource string, subs []string, ops ...request.Operation) bool {
	return w.Kind.Resource == resource && w.Kind.Hub().Group == group && slices.Contains(subs, w.Subresource) && slices.Contains(ops, w.Operation)
}

var self = []string{""} // never changed

// podOf is the pod that a write on the pod itself creates or updates, nil for all else.
func podOf(w *request.Write, ops ...request.Operation) *corev1.Pod {
	if !on(w, "", "pods", self, ops...) {
		return nil
	}
	p, _ := w.Object.(*corev1.Pod)
	return p
}

// forbidden is the answer of a step that refuses.
func forbidden(w *request.Write, format string, args ...any) error {
	return forbiddenErr(w, fmt.Errorf(format, args...))
}

func forbiddenErr(w *request.Write, err error) error {
	name := w.Name
	if name == "" && w.Object != nil {
		if name = w.Object.GetName(); name == "" {
			name = w.Object.GetGenerateName()
		}
	}
	gr := schema.GroupResource{Group: w.Version.Group, Resource: w.Kind.Resource}
	if w.Version.Version == "" {
		gr = w.Kind.GroupResource()
	}
	return apierrors.NewForbidden(gr, name, err)
}

// allowed asks the authorizer about the user of a write.
func (w *world) allowed(ctx context.Context, a *request.Attributes) bool {
	if w.authorizer == nil || a.User == nil {
		return false
	}
	d, _, err := w.authorizer.Authorize(ctx, a)
	return d == request.Allow && err == nil
}

var errWrongType = errors.New("object is of an unexpected type")
