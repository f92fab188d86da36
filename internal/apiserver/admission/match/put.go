package match

import (
	"fmt"
	"reflect"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Put makes obj, which is of the version and kind of as, what is written, with defaults filled in. What only the
// server gives (uid, creationTimestamp) stays. obj is the target's from then on.
func (t *Target) Put(as As, obj runtime.Object) error {
	w := t.write
	if t.body {
		return t.putBody(obj)
	}
	o, ok := obj.(api.Object)
	if !ok {
		return apierrors.NewInternalError(fmt.Errorf("mutate %s: a %T is no object", as.Kind, obj))
	}
	if as.Version.ToHub != nil {
		hub, err := as.Version.ToHub(o)
		if err != nil {
			return apierrors.NewInternalError(fmt.Errorf("failed to convert object: %w", err))
		}
		o = hub
	}
	if _, custom := o.(runtime.Unstructured); !custom {
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	}
	if was := w.Object; was != nil && w.Operation == request.Create {
		o.SetUID(was.GetUID())
		o.SetCreationTimestamp(was.GetCreationTimestamp())
		if o.GetNamespace() != was.GetNamespace() {
			return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
		w.Name = o.GetName()
	}
	if w.Kind.Default != nil {
		w.Kind.Default(o)
	}
	w.Object, t.Object = o, o
	return nil
}

func (t *Target) putBody(obj runtime.Object) error {
	w := t.write
	if w.Operation == request.Connect {
		w.Body, t.Object = obj, obj
		return nil
	}
	if to, from := reflect.ValueOf(w.Body), reflect.ValueOf(obj); w.Body != nil && to.Type() == from.Type() {
		to.Elem().Set(from.Elem()) // in place: who sent it goes on with it
		w.Body.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		t.Object = w.Body
		return nil
	}
	if b, ok := obj.(*autoscalingv1.Scale); ok && w.Object != nil {
		sub := subresource(w)
		sub.Scale.Set(w.Object, b.Spec.Replicas)
		t.Object = scale(sub.Scale, w.Object)
		return nil
	}
	return apierrors.NewInternalError(fmt.Errorf("mutate %s: its body cannot be changed", t.Subresource))
}
