package openapi

import (
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var ( // never changed
	deleteOptions = reflect.TypeFor[metav1.DeleteOptions]()
	statusType    = reflect.TypeFor[metav1.Status]()
	patchType     = reflect.TypeFor[metav1.Patch]()
)

func elem(o any) reflect.Type {
	t := reflect.TypeOf(o)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// builder makes the definitions of Go types, each once, as far as they are referred to.
type builder struct {
	v3      bool
	markers func(string) Marker
	defs    map[string]object
	gvks    map[reflect.Type][]schema.GroupVersionKind
	queue   []model
}

// definitionName is upstream's: k8s.io/api/apps/v1.Deployment → io.k8s.api.apps.v1.Deployment.
func definitionName(t reflect.Type) string {
	host, rest, _ := strings.Cut(t.PkgPath(), "/")
	parts := strings.Split(host, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, ".") + "." + strings.ReplaceAll(rest, "/", ".") + "." + t.Name()
}

func (b *builder) marker(t reflect.Type, field string) Marker {
	if b.markers == nil || t.Name() == "" {
		return Marker{}
	}
	name := t.PkgPath() + "." + t.Name()
	if field != "" {
		name += "." + field
	}
	return b.markers(name)
}

// ref refers to the definition of a named type and sees to it that it gets made.
func (b *builder) ref(t reflect.Type) object { return b.refTo(model{t: t}) }

func (b *builder) refTo(m model) object {
	name := m.name()
	if _, ok := b.defs[name]; !ok {
		b.defs[name] = object{}
		b.queue = append(b.queue, m)
	}
	if b.v3 {
		return object{"$ref": "#/components/schemas/" + name}
	}
	return object{"$ref": "#/definitions/" + name}
}

// finish makes all definitions referred to.
func (b *builder) finish() map[string]object {
	for len(b.queue) > 0 {
		m := b.queue[0]
		b.queue = b.queue[1:]
		if m.kind != nil {
			b.defs[m.name()] = b.custom(m)
		} else {
			b.defs[m.name()] = b.definition(m.t)
		}
	}
	return b.defs
}

// The ways in which types of the API machinery say that their JSON is not that of their Go type.
type (
	typed  interface{ OpenAPISchemaType() []string }
	format interface{ OpenAPISchemaFormat() string }
	oneOf  interface{ OpenAPIV3OneOfTypes() []string }
	docs   interface{ SwaggerDoc() map[string]string }
)

func (b *builder) definition(t reflect.Type) object {
	d := object{}
	zero := reflect.New(t).Interface()
	if doc := docOf(t)[""]; doc != "" {
		d["description"] = doc
	}
	if s, ok := zero.(typed); ok {
		return b.formed(d, zero, s)
	}
	d["type"] = "object"
	if t.Kind() == reflect.Struct {
		properties, must := object{}, []string{}
		b.fields(t, properties, &must)
		if len(properties) > 0 {
			d["properties"] = properties
		}
		if must = required(definitionName(t), must); len(must) > 0 {
			d["required"] = must
		}
	}
	if m := b.marker(t, ""); m.Map != "" {
		d["x-kubernetes-map-type"] = m.Map
	}
	if list := b.gvks[t]; len(list) > 0 {
		d["x-kubernetes-group-version-kind"] = gvkList(list)
	}
	return d
}

func (b *builder) formed(d object, zero any, s typed) object {
	if o, ok := zero.(oneOf); ok && b.v3 {
		var alternatives []any
		for _, n := range o.OpenAPIV3OneOfTypes() {
			alternatives = append(alternatives, object{"type": n})
		}
		d["oneOf"] = alternatives
	} else if names := s.OpenAPISchemaType(); len(names) == 1 {
		d["type"] = names[0]
	}
	if f, ok := zero.(format); ok && f.OpenAPISchemaFormat() != "" {
		d["format"] = f.OpenAPISchemaFormat()
	}
	return d
}

func gvkList(list []schema.GroupVersionKind) (out []any) {
	for _, g := range list {
		out = append(out, gvkObject(g))
	}
	return out
}

func gvkObject(g schema.GroupVersionKind) object {
	return object{"group": g.Group, "version": g.Version, "kind": g.Kind}
}

func docOf(t reflect.Type) map[string]string {
	if d, ok := reflect.New(t).Elem().Interface().(docs); ok {
		return d.SwaggerDoc()
	}
	return nil
}

// fields adds the JSON fields of a struct, those of inlined ones included.
func (b *builder) fields(t reflect.Type, properties object, must *[]string) {
	doc := docOf(t)
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if strings.Contains(opts, "inline") || f.Anonymous && name == "" {
			ft := f.Type
			if ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			b.fields(ft, properties, must)
			continue
		}
		if name == "" {
			name = f.Name
		}
		optional := strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
		if !optional {
			*must = append(*must, name)
		}
		properties[name] = b.field(t, f, doc[name], optional)
	}
}

func (b *builder) field(t reflect.Type, f reflect.StructField, doc string, optional bool) object {
	m := b.marker(t, f.Name)
	p := b.value(f.Type)
	if _, isRef := p["$ref"]; isRef && b.v3 {
		p = object{"allOf": []any{p}}
	}
	if doc != "" {
		p["description"] = doc
	}
	if d := m.Default; d != nil {
		p["default"] = d
	} else if d := zeroDefault(f.Type, optional); d != nil && b.v3 {
		p["default"] = d
	}
	if m.List != "" {
		p["x-kubernetes-list-type"] = m.List
	}
	if len(m.Keys) > 0 {
		p["x-kubernetes-list-map-keys"] = m.Keys
	}
	if m.Map != "" {
		p["x-kubernetes-map-type"] = m.Map
	}
	if v := f.Tag.Get("patchStrategy"); v != "" {
		p["x-kubernetes-patch-strategy"] = v
	}
	if v := f.Tag.Get("patchMergeKey"); v != "" {
		p["x-kubernetes-patch-merge-key"] = v
	}
	return p
}

// zeroDefault is the default that follows from a value that cannot be absent.
func zeroDefault(t reflect.Type, optional bool) any {
	switch {
	case t.Kind() == reflect.Struct:
		if _, special := reflect.New(t).Interface().(typed); special {
			return nil
		}
		return object{}
	case optional:
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return ""
	case reflect.Bool:
		return false
	case reflect.Int, reflect.Int32, reflect.Int64:
		return 0
	}
	return nil
}

// value is the schema of a value of type t.
func (b *builder) value(t reflect.Type) object {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, special := reflect.New(t).Interface().(typed)
	switch t.Kind() {
	case reflect.Struct:
		return b.ref(t)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int64:
		if special {
			return b.ref(t)
		}
		return object{"type": "integer", "format": "int64"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return object{"type": "integer", "format": "int32"}
	case reflect.Uint64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float32:
		return object{"type": "number", "format": "float"}
	case reflect.Float64:
		return object{"type": "number", "format": "double"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "format": "byte"}
		}
		return object{"type": "array", "items": b.element(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": b.element(t.Elem())}
	}
	return object{"type": "object"} // any, runtime.Object
}

func (b *builder) element(t reflect.Type) object {
	p := b.value(t)
	d := zeroDefault(t, false)
	if d == nil || !b.v3 {
		return p
	}
	if _, isRef := p["$ref"]; isRef {
		p = object{"allOf": []any{p}}
	}
	p["default"] = d
	return p
}
