package openapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

// model is what has a definition: a Go type, or a version of a custom kind (or of its lists). The zero model is none.
type model struct {
	t       reflect.Type
	kind    *api.Kind
	version int
	list    bool
}

// models are those of a kind's version and its lists.
func models(k *api.Kind, version int) (one, list model) {
	if k.Custom != nil {
		return model{kind: k, version: version}, model{kind: k, version: version, list: true}
	}
	v := k.Versions[version]
	if v.NewList != nil {
		if l := v.NewList(); l != nil {
			list.t = elem(l)
		}
	}
	return model{t: elem(v.New())}, list
}

// name of a custom kind's definition is its group backwards, version and kind: com.example.v1.CronTab.
func (m model) name() string {
	if m.kind == nil {
		return definitionName(m.t)
	}
	gvk := m.gvk()
	parts := strings.Split(gvk.Group, ".")
	slices.Reverse(parts)
	return strings.Join(append(parts, gvk.Version, gvk.Kind), ".")
}

func (m model) gvk() schema.GroupVersionKind {
	kind := m.kind.Kind
	if m.list {
		kind = m.kind.ListKindName()
	}
	return m.kind.Versions[m.version].GroupVersion().WithKind(kind)
}

// custom is the definition of a custom kind, as its own definition has it.
func (b *builder) custom(m model) object {
	if m.list {
		return b.customList(m)
	}
	d := object{}
	text, err := json.Marshal(m.kind.Custom.Schema(m.version, !b.v3))
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		d = object{"type": "object"}
	}
	b.ref(reflect.TypeFor[metav1.ObjectMeta]())
	d["x-kubernetes-group-version-kind"] = []any{gvkObject(m.gvk())}
	if f := m.kind.FieldsOf(m.version); len(f) > 0 && b.v3 {
		d["x-kubernetes-selectable-fields"] = selectable(f)
	}
	return d
}

func selectable[T any](fields map[string]T) (out []any) {
	var names []string
	for n := range fields {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		out = append(out, object{"fieldPath": n})
	}
	return out
}

func (b *builder) customList(m model) object {
	one := m
	one.list = false
	doc := metav1.PartialObjectMetadataList{}.SwaggerDoc()
	items := object{"type": "array", "items": b.refTo(one), "description": "List of " + m.kind.Resource +
		". More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"}
	metadata := b.ref(reflect.TypeFor[metav1.ListMeta]())
	if b.v3 {
		metadata = object{"allOf": []any{metadata}}
	}
	metadata["description"] = doc["metadata"]
	kinds := metav1.TypeMeta{}.SwaggerDoc()
	return object{
		"type": "object", "description": m.kind.ListKindName() + " is a list of " + m.kind.Kind, "required": []any{"items"},
		"properties": object{
			"apiVersion": object{"type": "string", "description": kinds["apiVersion"]},
			"kind":       object{"type": "string", "description": kinds["kind"]},
			"items":      items, "metadata": metadata,
		},
		"x-kubernetes-group-version-kind": []any{gvkObject(m.gvk())},
	}
}

// revisions name the custom kinds of a group version; empty when it has none.
func (s *Spec) revisions(gv schema.GroupVersion) (out string) {
	for _, k := range s.registry.Kinds() {
		if k.Custom == nil {
			continue
		}
		for _, v := range k.Versions {
			if v.GroupVersion() == gv && !v.Unserved {
				out += "|" + k.Custom.Revision
			}
		}
	}
	return out
}
