package crd

import (
	"maps"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
)

// coerce makes of any document what decoding into a Go type would: metadata has its types, unknown fields and nulls where
// there can be none are gone. lenient drops malformed metadata instead of refusing it. Fields that were dropped are named when asked for.
func (d *definition) coerce(u *unstructured.Unstructured, unknown, lenient bool) ([]string, error) {
	v := d.of(u)
	if v == nil {
		return nil, nil
	}
	gvk := u.GroupVersionKind()
	meta, found, fields, err := objectmeta.GetObjectMetaWithOptions(u.Object, objectmeta.ObjectMetaOptions{DropMalformedFields: lenient, ReturnUnknownFieldPaths: unknown})
	if err != nil {
		return nil, err
	}
	fields = append(fields, v.prune(u, unknown)...)
	ferr, more := objectmeta.CoerceWithOptions(nil, u.Object, v.structural, false, objectmeta.CoerceOptions{DropInvalidFields: lenient, ReturnUnknownFieldPaths: unknown})
	if ferr != nil {
		return nil, ferr
	}
	u.SetGroupVersionKind(gvk)
	if found {
		if lenient && meta.Generation == 0 {
			meta.Generation = 1
		}
		if err := objectmeta.SetObjectMeta(u.Object, meta); err != nil {
			return nil, err
		}
	}
	return append(fields, more...), nil
}

// prune drops what the schema does not know. kind, apiVersion and metadata stay.
func (v *version) prune(u *unstructured.Unstructured, unknown bool) []string {
	if v.preserve || v.structural == nil {
		return nil
	}
	fields := pruning.PruneWithOptions(u.Object, v.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: unknown})
	defaulting.PruneNonNullableNullsWithoutDefaults(u.Object, v.structural)
	return fields
}

// complete fills in the schema's defaults.
func (d *definition) complete(u *unstructured.Unstructured) {
	if v := d.of(u); v != nil && v.structural != nil {
		v.prune(u, false)
		defaulting.Default(u.Object, v.structural)
	}
}

// loaded makes an object from the store fit today's schema.
func (d *definition) loaded(u *unstructured.Unstructured) {
	if v := d.of(u); v == nil {
		return
	}
	// What cannot be repaired is shown as it is: its owner has to see it to correct it.
	_, _ = d.coerce(u, false, true)
	d.complete(u)
}

func (d *definition) prepareCreate(u *unstructured.Unstructured) {
	if v := d.of(u); v != nil && v.hasStatus() {
		delete(u.Object, "status")
	}
}

// prepareUpdate keeps the status where it has an endpoint of its own.
func (d *definition) prepareUpdate(u, old *unstructured.Unstructured) {
	if v := d.of(u); v == nil || !v.hasStatus() {
		return
	}
	if s, ok := old.Object["status"]; ok {
		u.Object["status"] = s
	} else {
		delete(u.Object, "status")
	}
}

// statusSub is the status subresource: nothing but the status changes through it.
func (d *definition) statusSub() api.Subresource {
	return api.Subresource{
		Name: "status", Verbs: []string{"get", "patch", "update"},
		Prepare: func(o, old api.Object) {
			u := o.(*unstructured.Unstructured)
			managed := u.GetManagedFields()
			status, ok := u.Object["status"]
			u.Object = maps.Clone(old.(*unstructured.Unstructured).Object)
			if m, isMap := u.Object["metadata"].(map[string]any); isMap {
				u.Object["metadata"] = runtime.DeepCopyJSON(m)
			}
			delete(u.Object, "status")
			if ok {
				u.Object["status"] = status
			}
			u.SetManagedFields(managed)
		},
		Validate: onBoth(d.validateStatus),
	}
}
