package webhook

import (
	"encoding/json"
	"fmt"
	"reflect"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// subject is the write that webhooks are asked about, encoded once a version.
type subject struct {
	w       *request.Write
	target  *match.Target
	objects map[schema.GroupVersionKind]versioned
}

// versioned are a write's objects in one version; nil when there is none.
type versioned struct {
	object, old         runtime.Object
	objectJSON, oldJSON []byte
}

func newSubject(w *request.Write) *subject {
	return &subject{w: w, target: match.Of(w), objects: map[schema.GroupVersionKind]versioned{}}
}

func (s *subject) in(as match.As) (versioned, error) {
	if v, ok := s.objects[as.Kind]; ok {
		return v, nil
	}
	var v versioned
	var err error
	if v.object, v.old, err = s.target.Versioned(as); err != nil {
		return v, fmt.Errorf("convert %s to %s: %w", s.w.Kind.Kind, as.Kind.GroupVersion(), err)
	}
	if v.objectJSON, err = encode(v.object); err != nil {
		return v, err
	}
	if v.oldJSON, err = encode(v.old); err != nil {
		return v, err
	}
	s.objects[as.Kind] = v
	return v, nil
}

func encode(o runtime.Object) ([]byte, error) {
	if o == nil {
		return nil, nil
	}
	return json.Marshal(o)
}

// put replaces the object of the write with what doc, in the version of as, says. before is the object that it
// replaces and after the new one, both as the write holds them.
func (s *subject) put(as match.As, doc []byte) (before, after runtime.Object, err error) {
	into, err := s.empty(as)
	if err != nil {
		return nil, nil, err
	}
	gvk, _, err := codec.Decode(codec.JSON, doc, as.Kind, into)
	switch {
	case err != nil:
		return nil, nil, err
	case gvk != as.Kind:
		return nil, nil, fmt.Errorf("the patch makes a %s of a %s", gvk, as.Kind)
	}
	before, after, err = s.replace(as, into)
	if err != nil {
		return nil, nil, err
	}
	s.target = match.Of(s.w)
	clear(s.objects)
	return before, after, nil
}

// empty is an object to decode a version of the write's object into.
func (s *subject) empty(as match.As) (runtime.Object, error) {
	switch {
	case s.scale() != nil:
		return &autoscalingv1.Scale{}, nil
	case s.w.Body != nil:
		return reflect.New(reflect.TypeOf(s.w.Body).Elem()).Interface().(runtime.Object), nil
	case as.Version.New == nil:
		return nil, fmt.Errorf("%s has no type", as.Kind)
	}
	return as.Version.New(), nil
}

func (s *subject) replace(as match.As, obj runtime.Object) (before, after runtime.Object, err error) {
	w := s.w
	if sc := s.scale(); sc != nil {
		next := w.Object.DeepCopyObject().(api.Object)
		sc.Set(next, obj.(*autoscalingv1.Scale).Spec.Replicas)
		before, w.Object = w.Object, next
		return before, next, nil
	}
	if w.Body != nil {
		before, w.Body = w.Body, obj
		if o, ok := obj.(api.Object); ok && w.Object != nil { // a kind that is answered, not stored
			w.Object = o
		}
		return before, obj, nil
	}
	hub := obj.(api.Object)
	if as.Version.ToHub != nil {
		if hub, err = as.Version.ToHub(hub); err != nil {
			return nil, nil, err
		}
	}
	before, w.Object = w.Object, hub
	return before, hub, nil
}

// scale is set for writes through the subresource scale.
func (s *subject) scale() *api.Scale {
	for i := range s.w.Kind.Subresources {
		if sub := &s.w.Kind.Subresources[i]; sub.Name == s.w.Subresource {
			return sub.Scale
		}
	}
	return nil
}
