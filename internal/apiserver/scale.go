package apiserver

import (
	"errors"
	"fmt"
	"net/http"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
)

var scaleKind = autoscalingv1.SchemeGroupVersion.WithKind("Scale")

// scaleOf is the scale of an object, with its metadata.
func scaleOf(c *call, obj api.Object) *autoscalingv1.Scale {
	sc := c.sub.Scale.Get(obj)
	sc.ObjectMeta = metav1.ObjectMeta{
		Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
		ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp(),
	}
	return sc
}

// scale answers with the scale of an object.
func (s *Server) scale(w http.ResponseWriter, r *http.Request, o output, c *call, e *cache.Entry) error {
	obj, err := e.In(c.ver())
	if err != nil {
		return err
	}
	s.object(w, r, o, http.StatusOK, scaleKind, scaleOf(c, obj))
	return nil
}

func (s *Server) serveScaleUpdate(w http.ResponseWriter, r *http.Request, o output, c *call) error {
	f, err := inputFormat(r)
	if err != nil {
		return err
	}
	data, err := readBody(r, w)
	if err != nil {
		return err
	}
	sc := &autoscalingv1.Scale{}
	if err := c.decode(f, data, scaleKind, sc); err != nil {
		return err
	}
	e, err := s.rescale(c, func(*autoscalingv1.Scale) (*autoscalingv1.Scale, error) { return sc, nil })
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	return s.scale(w, r, o, c, e)
}

func (s *Server) serveScalePatch(w http.ResponseWriter, r *http.Request, o output, c *call, typ types.PatchType, data []byte) error {
	if typ == types.ApplyPatchType {
		typ = types.MergePatchType // a Scale's only settable field is spec.replicas
	}
	e, err := s.rescale(c, func(old *autoscalingv1.Scale) (*autoscalingv1.Scale, error) {
		sc := &autoscalingv1.Scale{}
		return sc, c.patchInto(old, sc, typ, data)
	})
	if err != nil {
		return err
	}
	addWarnings(w, c.warnings)
	return s.scale(w, r, o, c, e)
}

// rescale updates the object through its scale.
func (s *Server) rescale(c *call, f func(*autoscalingv1.Scale) (*autoscalingv1.Scale, error)) (*cache.Entry, error) {
	e, _, err := s.modify(c, false, func(old api.Object) (api.Object, bool, error) {
		sc, err := f(scaleOf(c, old))
		if err != nil {
			return nil, false, err
		}
		if err := checkScale(c, sc, old); err != nil {
			return nil, false, err
		}
		obj := old.DeepCopyObject().(api.Object)
		obj.SetResourceVersion(sc.ResourceVersion)
		c.sub.Scale.Set(obj, sc.Spec.Replicas)
		return obj, false, nil
	})
	return e, err
}

func checkScale(c *call, sc *autoscalingv1.Scale, old api.Object) error {
	if sc.Name != "" && sc.Name != c.name {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", sc.Name, c.name))
	}
	if sc.UID != "" && sc.UID != old.GetUID() {
		return apierrors.NewConflict(c.resource(), c.name, errors.New("the UID of the scale is not the object's"))
	}
	if sc.Spec.Replicas < 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: scaleKind.Group, Kind: scaleKind.Kind}, c.name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "replicas"), sc.Spec.Replicas, "must be greater than or equal to 0"),
		})
	}
	return nil
}
