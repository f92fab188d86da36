package webhook

import (
	"encoding/json"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// put replaces the object of the write with what doc, in the version of as, says. It reports whether that differs.
func (s *subject) put(as match.As, v versioned, doc []byte) (changed bool, err error) {
	into := reflect.New(reflect.TypeOf(v.object).Elem()).Interface().(runtime.Object)
	gvk, _, err := codec.Decode(codec.JSON, doc, as.Kind, into)
	switch {
	case err != nil:
		return false, apierrors.NewInternalError(err)
	case gvk != as.Kind:
		return false, apierrors.NewInternalError(fmt.Errorf("the patch makes a %s of a %s", gvk, as.Kind))
	}
	if o, ok := into.(api.Object); ok && as.Version.Coerce != nil {
		if _, err := as.Version.Coerce(o, false); err != nil {
			return false, apierrors.NewInternalError(err)
		}
	}
	into.GetObjectKind().SetGroupVersionKind(as.Kind)
	changed = !equality.Semantic.DeepEqual(v.object, into)
	if err := s.target.Put(as, into); err != nil {
		return false, err
	}
	s.target = match.Of(s.w)
	clear(s.objects)
	return changed, nil
}
