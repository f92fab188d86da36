package expression

import (
	"reflect"
	"strings"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// TypeOf is the type that values of a Go type of the API have in expressions: that of their JSON. name is unique in an environment.
func TypeOf(t reflect.Type, name string) *apiservercel.DeclType {
	return typeOf(t, map[reflect.Type]bool{}).MaybeAssignTypeName(name)
}

// typeOf: inside are the structs that t is in; a type in itself is an object of which nothing is known.
func typeOf(t reflect.Type, inside map[reflect.Type]bool) *apiservercel.DeclType {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime]():
		return apiservercel.TimestampType
	case reflect.TypeFor[metav1.Duration]():
		return apiservercel.StringType
	case reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[resource.Quantity]():
		return apiservercel.NewSimpleTypeWithMinSize("dyn", cel.DynType, nil, 1)
	case reflect.TypeFor[runtime.RawExtension](), reflect.TypeFor[metav1.FieldsV1]():
		return apiservercel.NewObjectType("object", fields{})
	}
	switch t.Kind() {
	case reflect.String:
		return apiservercel.StringType
	case reflect.Bool:
		return apiservercel.BoolType
	case reflect.Float32, reflect.Float64:
		return apiservercel.DoubleType
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return apiservercel.BytesType
		}
		return listOf(typeOf(t.Elem(), inside))
	case reflect.Map:
		return mapOf(typeOf(t.Elem(), inside))
	case reflect.Interface:
		return apiservercel.DynType
	case reflect.Struct:
		f := fields{}
		if !inside[t] {
			inside[t] = true
			f.of(t, inside)
			delete(inside, t)
		}
		return apiservercel.NewObjectType("object", f)
	}
	return apiservercel.IntType
}

// of adds the JSON fields of a struct, those of inlined ones included.
func (f fields) of(t reflect.Type, inside map[reflect.Type]bool) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, opts, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case strings.Contains(opts, "inline") || field.Anonymous && name == "":
			in := field.Type
			if in.Kind() == reflect.Pointer {
				in = in.Elem()
			}
			f.of(in, inside)
		default:
			if escaped, ok := apiservercel.Escape(name); ok {
				f.add(typeOf(field.Type, inside), false, escaped)
			}
		}
	}
}
