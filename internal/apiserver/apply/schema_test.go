package apply

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/randfill"
)

// TestSchemaIsUpstreams: for every stable type that client-go knows, the derived schema sees the same fields in random
// objects as client-go's own, which is generated from upstream's OpenAPI.
func TestSchemaIsUpstreams(t *testing.T) {
	theirs := applyconfigurations.NewTypeConverter(scheme.Scheme)
	tested := 0
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if strings.Contains(gvk.Version, "alpha") || strings.Contains(gvk.Version, "beta") || strings.HasSuffix(gvk.Kind, "List") || gvk.Version == runtime.APIVersionInternal {
			continue
		}
		obj, err := scheme.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := obj.(metav1.ObjectMetaAccessor); !ok {
			continue
		}
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		if _, err := theirs.ObjectToTyped(obj); err != nil {
			continue // not part of the apply configurations
		}
		tested++
		parser := parserFor(reflect.TypeOf(obj).Elem())
		for seed := range int64(20) {
			fill(seed, obj)
			obj.GetObjectKind().SetGroupVersionKind(gvk)
			want, err := theirs.ObjectToTyped(obj)
			if err != nil {
				continue // duplicate keys of associative lists and the like
			}
			got, err := parser.FromStructured(obj)
			if err != nil {
				t.Errorf("%s: %v", gvk, err)
				break
			}
			ws, err := want.ToFieldSet()
			if err != nil {
				t.Fatal(err)
			}
			gs, err := got.ToFieldSet()
			if err != nil {
				t.Fatal(err)
			}
			if !ws.Equals(gs) {
				t.Errorf("%s: only upstream sees\n%s\nonly we see\n%s", gvk, ws.Difference(gs), gs.Difference(ws))
				break
			}
		}
	}
	if tested < 60 {
		t.Errorf("only %d types were compared", tested)
	}
}

func fill(seed int64, obj runtime.Object) {
	randfill.NewWithSeed(seed).NilChance(0.2).NumElements(1, 1).MaxDepth(18).Funcs(
		func(q *resource.Quantity, c randfill.Continue) { *q = resource.MustParse(fmt.Sprint(c.Intn(100))) },
		func(m *metav1.Time, c randfill.Continue) { *m = metav1.Unix(int64(c.Intn(1e9)), 0) },
		func(m *metav1.MicroTime, c randfill.Continue) {
			*m = metav1.NewMicroTime(metav1.Unix(int64(c.Intn(1e9)), 0).Time)
		},
		func(i *intstr.IntOrString, c randfill.Continue) { *i = intstr.FromInt32(c.Int31()) },
		func(r *runtime.RawExtension, c randfill.Continue) { r.Raw = []byte(`{"a":{"b":[1]}}`) },
		func(r *metav1.FieldsV1, c randfill.Continue) { *r = metav1.FieldsV1{} },
		func(r *[]metav1.ManagedFieldsEntry, c randfill.Continue) { *r = nil },
	).Fill(obj)
}
