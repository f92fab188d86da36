package apply

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

//go:generate go run ./gen
//go:embed markers.txt
var markersText string

// Marker is what the source of the API types says about one type or field, beyond its Go type.
type Marker struct {
	List    string   // +listType: atomic, set, map
	Keys    []string // +listMapKey
	Map     string   // +mapType, +structType: atomic, granular
	Default any      // +default
}

// MarkerOf finds what is said about a type ("k8s.io/api/core/v1.PodSpec") or a field of one
// ("k8s.io/api/core/v1.PodSpec.Containers"); it is zero when nothing is.
func MarkerOf(name string) Marker { return markers()[name] }

// markers by "package.Type" and "package.Type.Field".
var markers = sync.OnceValue(func() map[string]Marker {
	out := map[string]Marker{}
	for line := range strings.Lines(markersText) {
		name, words, _ := strings.Cut(strings.TrimSpace(line), " ")
		var m Marker
		for _, w := range strings.Fields(words) {
			k, v, _ := strings.Cut(w, "=")
			switch k {
			case "list":
				m.List = v
			case "map":
				m.Map = v
			case "key":
				m.Keys = append(m.Keys, v)
			case "default":
				_ = json.Unmarshal([]byte(v), &m.Default) // ref(...) defaults are not values
			}
		}
		out[name] = m
	}
	return out
})

const (
	untypedAtomic = "untyped_atomic"
	untypedScalar = "untyped"
)

// special types have a JSON form of their own.
var special = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():          untypedScalar,
	reflect.TypeFor[metav1.MicroTime]():     untypedScalar,
	reflect.TypeFor[metav1.Duration]():      "string",
	reflect.TypeFor[resource.Quantity]():    untypedScalar,
	reflect.TypeFor[intstr.IntOrString]():   untypedScalar,
	reflect.TypeFor[runtime.RawExtension](): untypedAtomic,
	reflect.TypeFor[metav1.FieldsV1]():      untypedAtomic,
}

// parserFor derives the merge schema of a Go type from reflection and markers: the
// same that upstream derives from its OpenAPI, without carrying it.
func parserFor(t reflect.Type) typed.ParseableType {
	b := &builder{named: map[string]bool{}}
	b.add(untypedAtomic, atomicAtom())
	ref := b.ref(t, Marker{})
	return typed.ParseableType{TypeRef: ref, Schema: &schema.Schema{Types: b.types}}
}

func atomicAtom() schema.Atom {
	name, scalar := untypedAtomic, schema.Scalar(untypedScalar)
	self := schema.TypeRef{NamedType: &name}
	return schema.Atom{
		Scalar: &scalar,
		List:   &schema.List{ElementType: self, ElementRelationship: schema.Atomic},
		Map:    &schema.Map{ElementType: self, ElementRelationship: schema.Atomic},
	}
}

type builder struct {
	named map[string]bool
	types []schema.TypeDef
}

func (b *builder) add(name string, a schema.Atom) {
	b.named[name] = true
	b.types = append(b.types, schema.TypeDef{Name: name, Atom: a})
}

func scalarRef(s schema.Scalar) schema.TypeRef {
	return schema.TypeRef{Inlined: schema.Atom{Scalar: &s}}
}

// ref is the schema of a value of type t at a place with marker m.
func (b *builder) ref(t reflect.Type, m Marker) schema.TypeRef {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := special[t]; ok {
		return specialRef(s)
	}
	switch t.Kind() {
	case reflect.String:
		return scalarRef(schema.String)
	case reflect.Bool:
		return scalarRef(schema.Boolean)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return scalarRef(schema.String)
		}
		return schema.TypeRef{Inlined: schema.Atom{List: b.list(t, m)}}
	case reflect.Map:
		return schema.TypeRef{Inlined: schema.Atom{Map: &schema.Map{
			ElementType: b.ref(t.Elem(), Marker{}), ElementRelationship: relation(m.Map),
		}}}
	case reflect.Struct:
		return b.structRef(t, m)
	case reflect.Interface:
		return specialRef(untypedAtomic)
	}
	return scalarRef(schema.Numeric)
}

func specialRef(s string) schema.TypeRef {
	if s == untypedAtomic {
		return schema.TypeRef{NamedType: &s}
	}
	return scalarRef(schema.Scalar(s))
}

func relation(mapping string) schema.ElementRelationship {
	if mapping == "atomic" {
		return schema.Atomic
	}
	return schema.Separable
}

func (b *builder) list(t reflect.Type, m Marker) *schema.List {
	l := &schema.List{ElementType: b.ref(t.Elem(), Marker{}), ElementRelationship: schema.Atomic}
	switch m.List {
	case "set":
		l.ElementRelationship = schema.Associative
	case "map":
		l.ElementRelationship, l.Keys = schema.Associative, m.Keys
	}
	return l
}

func (b *builder) structRef(t reflect.Type, at Marker) schema.TypeRef {
	name := t.PkgPath() + "." + t.Name()
	if !b.named[name] {
		if _, ok := reflect.New(t).Interface().(json.Marshaler); ok {
			b.add(name, atomicAtom()) // only it knows its JSON form
		} else {
			b.named[name] = true
			i := len(b.types)
			b.types = append(b.types, schema.TypeDef{Name: name})
			b.types[i].Map = &schema.Map{Fields: b.fields(t, nil), ElementRelationship: relation(markers()[name].Map)}
		}
	}
	ref := schema.TypeRef{NamedType: &name}
	if at.Map != "" {
		r := relation(at.Map)
		ref.ElementRelationship = &r
	}
	return ref
}

func (b *builder) fields(t reflect.Type, out []schema.StructField) []schema.StructField {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case name == "" && (f.Anonymous || strings.Contains(opts, "inline")):
			out = b.fields(f.Type, out)
		default:
			m := markers()[t.PkgPath()+"."+t.Name()+"."+f.Name]
			out = append(out, schema.StructField{Name: name, Type: b.ref(f.Type, m), Default: m.Default})
		}
	}
	return out
}
