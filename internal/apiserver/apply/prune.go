package apply

import (
	"reflect"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// prune gives shallow copies of old and obj without the parts (spec, status, data …) that are
// the same in both: they make no difference to who owns what, and most updates change one part only.
func prune(old, obj api.Object) (api.Object, api.Object) {
	a, b := codec.Shallow(old), codec.Shallow(obj)
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	if x.Kind() != reflect.Struct || x.Type() != y.Type() {
		return a, b
	}
	for i := range x.NumField() {
		f := x.Type().Field(i)
		if f.Anonymous || !f.IsExported() { // TypeMeta, ObjectMeta
			continue
		}
		if reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			x.Field(i).SetZero()
			y.Field(i).SetZero()
		}
	}
	return a, b
}
