package apiserver

import (
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
)

func nameRequired() field.ErrorList {
	return field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name or generateName is required")}
}

func (s *Server) prepareCreate(w *writing) error {
	obj := w.Object
	if obj.GetName() == "" {
		obj.SetName(generateName(obj.GetGenerateName()))
	}
	w.Name = obj.GetName()
	if err := matchNamespace(w.c, obj); err != nil {
		return err
	}
	if w.Kind.PrepareCreate != nil {
		w.Kind.PrepareCreate(obj)
	}
	return nil
}

func (s *Server) validateCreate(w *writing) error {
	obj, k := w.Object, w.Kind
	var errs field.ErrorList
	if m := metaOf(obj); m != nil {
		errs = validation.ValidateObjectMeta(m, k.Namespaced, nameFunc(k), field.NewPath("metadata"))
	} else {
		errs = validation.ValidateObjectMetaAccessor(obj, k.Namespaced, nameFunc(k), field.NewPath("metadata"))
	}
	for _, msg := range path.IsValidPathSegmentName(obj.GetName()) {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), obj.GetName(), msg))
	}
	if k.ValidateCreate != nil {
		errs = append(errs, k.ValidateCreate(obj)...)
	}
	if k.Validate != nil {
		errs = append(errs, k.Validate(obj)...)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(w.c.groupKind(), obj.GetName(), errs)
	}
	if k.Warnings != nil {
		w.Warnings = append(w.Warnings, k.Warnings(obj, nil)...)
	}
	return nil
}

func nameFunc(k *api.Kind) validation.ValidateNameFunc {
	if k.ValidateName != nil {
		return k.ValidateName
	}
	return validation.NameIsDNSSubdomain
}

// metaOf is the embedded ObjectMeta of a typed object, nil for others.
func metaOf(obj api.Object) *metav1.ObjectMeta {
	if a, ok := obj.(metav1.ObjectMetaAccessor); ok {
		m, _ := a.GetObjectMeta().(*metav1.ObjectMeta)
		return m
	}
	return nil
}

// prepareUpdate carries over what an update may not touch.
func (s *Server) prepareUpdate(w *writing) error {
	obj, old := w.Object, w.Old
	obj.SetName(old.GetName())
	obj.SetNamespace(old.GetNamespace())
	obj.SetGenerateName(old.GetGenerateName())
	obj.SetSelfLink("")
	obj.SetGeneration(old.GetGeneration())
	switch {
	case w.c.sub != nil && w.c.sub.Prepare != nil:
		w.c.sub.Prepare(obj, old)
	case w.wholeObject() && w.Kind.PrepareUpdate != nil:
		w.Kind.PrepareUpdate(obj, old)
	}
	if obj.GetUID() == "" {
		obj.SetUID(old.GetUID())
	}
	if !old.GetCreationTimestamp().Time.IsZero() {
		obj.SetCreationTimestamp(old.GetCreationTimestamp())
	}
	if old.GetDeletionTimestamp() != nil {
		obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	}
	if old.GetDeletionGracePeriodSeconds() != nil && obj.GetDeletionGracePeriodSeconds() == nil {
		obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	}
	if w.Kind.HasGeneration && w.Subresource != "status" && w.Subresource != "binding" && !sameSpec(obj, old) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
	return nil
}

// wholeObject: the kind's own rules for updates hold. A scale is an update of the object in other clothes.
func (w *writing) wholeObject() bool { return w.c.sub == nil || w.c.sub.Scale != nil }

// sameSpec reports that nothing but metadata and status differs.
func sameSpec(a, b api.Object) bool {
	if u, ok := a.(*unstructured.Unstructured); ok {
		return sameContent(u.Object, b.(*unstructured.Unstructured).Object)
	}
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	if x.Kind() != reflect.Struct || x.Type() != y.Type() {
		return false
	}
	for i := range x.NumField() {
		switch x.Type().Field(i).Name {
		case "TypeMeta", "ObjectMeta", "Status":
			continue
		}
		if !equality.Semantic.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}

// sameContent compares all but metadata. Where there is a status subresource, the status is the old one by now.
func sameContent(a, b map[string]any) bool {
	strip := func(m map[string]any) map[string]any {
		m = maps.Clone(m)
		for _, k := range []string{"apiVersion", "kind", "metadata"} {
			delete(m, k)
		}
		return m
	}
	return equality.Semantic.DeepEqual(strip(a), strip(b))
}

func (s *Server) validateUpdate(w *writing) error {
	obj, old, k := w.Object, w.Old, w.Kind
	m := field.NewPath("metadata")
	obj.SetResourceVersion(old.GetResourceVersion())
	errs := validation.ValidateObjectMetaAccessor(obj, k.Namespaced, pathSegment, m)
	errs = append(errs, validation.ValidateObjectMetaAccessorUpdate(obj, old, m)...)
	if w.c.sub != nil && w.c.sub.Validate != nil {
		errs = append(errs, w.c.sub.Validate(obj, old)...)
	}
	if w.wholeObject() {
		if k.Validate != nil {
			errs = append(errs, k.Validate(obj)...)
		}
		if k.ValidateUpdate != nil {
			errs = append(errs, k.ValidateUpdate(obj, old)...)
		}
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(w.c.groupKind(), obj.GetName(), errs)
	}
	if k.Warnings != nil && w.c.sub == nil {
		w.Warnings = append(w.Warnings, k.Warnings(obj, old)...)
	}
	return nil
}

// pathSegment is what upstream asks of names on an update: the kind's own rule was checked at creation.
func pathSegment(name string, prefix bool) []string {
	if prefix {
		return path.IsValidPathSegmentPrefix(name)
	}
	return path.IsValidPathSegmentName(name)
}
