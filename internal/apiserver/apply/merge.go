package apply

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/dhow-project/dhow/internal/api"
)

// Merge gives live with the fields of config set, lists and maps merged as server-side apply does, owners left alone.
// live carries its kind and is of that version of k; so is the result. Config may not hold atomic lists, maps or
// structs: their other fields would be gone without anybody having said so.
func (t *Tracker) Merge(k *api.Kind, live api.Object, config map[string]any) (api.Object, error) {
	v := t.versions(k)
	gvk := live.GetObjectKind().GroupVersionKind()
	version := v.index(gvk)
	if version < 0 {
		return nil, fmt.Errorf("no schema for %s", gvk)
	}
	patch := &unstructured.Unstructured{Object: config}
	patch.SetGroupVersionKind(gvk)
	change, err := v.ObjectToTyped(patch)
	if err != nil {
		return nil, fmt.Errorf("failed to convert patch object to typed object: %w", err)
	}
	if atomics := findAtomics(nil, change.Schema(), change.TypeRef(), change.AsValue()); len(atomics) > 0 {
		return nil, fmt.Errorf("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: %v", strings.Join(atomics, ", "))
	}
	have, err := v.ObjectToTyped(live, typed.AllowDuplicates)
	if err != nil {
		return nil, fmt.Errorf("failed to convert original object to typed object: %w", err)
	}
	merged, err := have.Merge(change)
	if err != nil {
		return nil, fmt.Errorf("failed to merge patch: %w", err)
	}
	out, err := v.TypedToObject(merged)
	if err != nil {
		return nil, fmt.Errorf("failed to convert typed object to object: %w", err)
	}
	obj, err := v.typed(out, version)
	if err != nil {
		return nil, fmt.Errorf("failed to convert typed object to object: %w", err)
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return obj, nil
}

// findAtomics are the paths of all atomic lists, maps and structs in v.
func findAtomics(path fieldpath.Path, s *smd.Schema, t smd.TypeRef, v value.Value) (out []string) {
	a, ok := s.Resolve(t)
	if !ok {
		return nil
	}
	if v.IsMap() && a.Map != nil {
		if a.Map.ElementRelationship == smd.Atomic {
			out = append(out, path.String())
		}
		v.AsMap().Iterate(func(key string, val value.Value) bool {
			if f, ok := a.Map.FindField(key); ok {
				out = append(out, findAtomics(append(path.Copy(), fieldpath.PathElement{FieldName: &key}), s, f.Type, val)...)
			}
			return true
		})
	}
	if v.IsList() && a.List != nil {
		if a.List.ElementRelationship == smd.Atomic {
			out = append(out, path.String())
		}
		list := v.AsList()
		for i := range list.Length() {
			out = append(out, findAtomics(append(path.Copy(), fieldpath.PathElement{Index: &i}), s, a.List.ElementType, list.At(i))...)
		}
	}
	return out
}
