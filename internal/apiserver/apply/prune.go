package apply

import (
	"encoding/json"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// prune gives shallow copies of old and obj without what is the same in both: parts (spec, status, data …), the fields
// of parts that are structs, and the maps and lists of the metadata. They make no difference to who owns what, and most
// updates change little.
func prune(old, obj api.Object) (api.Object, api.Object) {
	a, b := codec.Shallow(old), codec.Shallow(obj)
	if u, ok := a.(*unstructured.Unstructured); ok {
		pruneCustom(u, b.(*unstructured.Unstructured))
		return a, b
	}
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	if x.Kind() != reflect.Struct || x.Type() != y.Type() {
		return a, b
	}
	created := old.GetUID() == "" // there is nothing yet that could be equal in its details
	for i := range x.NumField() {
		f, p, q := x.Type().Field(i), x.Field(i), y.Field(i)
		switch {
		case f.Type == metaType:
			if created {
				continue
			}
			pruneMeta(p.Addr().Interface().(*metav1.ObjectMeta), q.Addr().Interface().(*metav1.ObjectMeta))
		case f.Anonymous || !f.IsExported(): // TypeMeta
		case same(p, q):
		case !created && granular(x.Type(), f):
			for j := range p.NumField() {
				if f.Type.Field(j).IsExported() {
					same(p.Field(j), q.Field(j))
				}
			}
		}
	}
	return a, b
}

// granular is whether the fields of a part have owners of their own.
func granular(of reflect.Type, part reflect.StructField) bool {
	t := part.Type
	if t.Kind() != reflect.Struct || special[t] != "" || reflect.PointerTo(t).Implements(marshalerType) {
		return false
	}
	return MarkerOf(t.PkgPath()+"."+t.Name()).Map != "atomic" && MarkerOf(of.PkgPath()+"."+of.Name()+"."+part.Name).Map != "atomic"
}

var marshalerType = reflect.TypeFor[json.Marshaler]()

var metaType = reflect.TypeFor[metav1.ObjectMeta]()

// same zeroes both when they are equal.
func same(p, q reflect.Value) bool {
	if !reflect.DeepEqual(p.Interface(), q.Interface()) {
		return false
	}
	p.SetZero()
	q.SetZero()
	return true
}

// pruneMeta leaves out what metadata has of maps and lists. The rest is small, and some of it tells a creation from an update.
func pruneMeta(a, b *metav1.ObjectMeta) {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for _, name := range []string{"Labels", "Annotations", "OwnerReferences", "Finalizers"} {
		same(x.FieldByName(name), y.FieldByName(name))
	}
}

func pruneCustom(a, b *unstructured.Unstructured) {
	for name, x := range a.Object {
		switch name {
		case "apiVersion", "kind", "metadata":
			continue
		}
		if y, ok := b.Object[name]; ok && reflect.DeepEqual(x, y) {
			delete(a.Object, name)
			delete(b.Object, name)
		}
	}
}
