package apply

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// plain converts everything at once, as upstream does.
type plain struct{ *versions }

func (p plain) TypedToObject(value *typed.TypedValue) (runtime.Object, error) {
	return &unstructured.Unstructured{Object: value.AsValue().Unstructured().(map[string]any)}, nil
}

// reference is upstream's field manager with nothing left out.
func reference(t *testing.T, k *api.Kind, subresource string) *managedfields.FieldManager {
	t.Helper()
	v := newVersions(k)
	m, err := managedfields.NewDefaultFieldManager(plain{v}, v, v, v, v.gvk(0), k.Hub().GroupVersion(), subresource, resetFields(k, subresource))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// FuzzOwnership: what is left out and put off changes nothing: who owns what, and what an apply makes of an object, is as
// upstream's machinery says.
func FuzzOwnership(f *testing.F) {
	for seed := range int64(200) {
		f.Add(seed)
	}
	var kinds []*api.Kind
	for _, k := range all.Kinds() {
		if !k.Virtual {
			kinds = append(kinds, k)
		}
	}
	f.Fuzz(func(t *testing.T, seed int64) {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		k := kinds[r.IntN(len(kinds))]
		tr := New()
		live := random(k, seed)
		if err := tr.Update(k, 0, "", nil, live, "creator"); err != nil {
			t.Fatal(err)
		}
		for step := range int64(4) {
			sub := ""
			for _, s := range k.Subresources {
				if s.Name == "status" && r.IntN(2) == 0 {
					sub = "status"
				}
			}
			manager := string(rune('a' + r.IntN(3)))
			other := random(k, seed+1000*(step+1))
			if r.IntN(3) == 0 {
				live = bothApply(t, tr, k, sub, live, other, manager)
			} else {
				next := live.DeepCopyObject().(api.Object)
				mutate(r, reflect.ValueOf(next).Elem(), reflect.ValueOf(other).Elem())
				live = bothUpdate(t, tr, k, sub, live, next, manager)
			}
		}
	})
}

func bothUpdate(t *testing.T, tr *Tracker, k *api.Kind, sub string, old, next api.Object, manager string) api.Object {
	t.Helper()
	whole := next.DeepCopyObject().(api.Object)
	if err := tr.Update(k, 0, sub, old, next, manager); err != nil {
		t.Fatal(err)
	}
	want := reference(t, k, sub).UpdateNoErrors(codec.Shallow(old), whole, manager).(api.Object)
	sameObjects(t, k, sub, "update", want, next)
	return next
}

func bothApply(t *testing.T, tr *Tracker, k *api.Kind, sub string, live, config api.Object, manager string) api.Object {
	t.Helper()
	config.SetName(live.GetName())
	config.SetNamespace(live.GetNamespace())
	config.GetObjectKind().SetGroupVersionKind(newVersions(k).gvk(0))
	doc, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tr.Apply(k, 0, sub, live, doc, manager, true)
	in := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(doc, &in.Object); err != nil {
		t.Fatal(err)
	}
	from, cerr := newVersions(k).convert(live.DeepCopyObject().(api.Object), 0, 0)
	if cerr != nil {
		t.Fatal(cerr)
	}
	want, werr := reference(t, k, sub).Apply(from, in, manager, true)
	if (err == nil) != (werr == nil) || err != nil && err.Error() != werr.Error() {
		t.Fatalf("%s: apply: %v, want %v", k.Kind, err, werr)
	}
	if err != nil {
		return live
	}
	hub, err := newVersions(k).ConvertToVersion(want, k.Hub().GroupVersion())
	if err != nil {
		t.Fatal(err)
	}
	hub.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	sameObjects(t, k, sub, "apply", hub.(api.Object), got)
	return got
}

// sameObjects compares all but the times of the entries, which are those of the run.
func sameObjects(t *testing.T, k *api.Kind, sub, what string, want, got api.Object) {
	t.Helper()
	w, g := want.DeepCopyObject().(api.Object), got.DeepCopyObject().(api.Object)
	for _, o := range []api.Object{w, g} {
		entries := o.GetManagedFields()
		for i := range entries {
			if e := entries[i].Time; e == nil || time.Since(e.Time) > time.Hour {
				t.Fatalf("%s: the time of an entry is %v", k.Kind, e)
			}
			entries[i].Time = nil
		}
		// They are in the order of their times, and a second may have begun in between.
		slices.SortFunc(entries, func(a, b metav1.ManagedFieldsEntry) int {
			return cmp.Or(strings.Compare(a.Manager, b.Manager), strings.Compare(string(a.Operation), string(b.Operation)), strings.Compare(a.Subresource, b.Subresource))
		})
		o.SetManagedFields(entries)
	}
	a, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Fatalf("%s %s %q:\n%s", what, k.Kind, sub, diff.Diff(string(a), string(b)))
	}
}

// random is an object as it could have been decoded.
func random(k *api.Kind, seed int64) api.Object {
	obj := k.Hub().New()
	if _, ok := obj.(*unstructured.Unstructured); ok {
		return obj
	}
	fill(seed, obj)
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	obj.SetManagedFields(nil)
	obj.SetUID("1")
	if k.Default != nil {
		k.Default(obj)
	}
	raw, err := json.Marshal(obj)
	if err != nil {
		return k.Hub().New()
	}
	out := k.Hub().New()
	if json.Unmarshal(raw, out) != nil {
		return k.Hub().New()
	}
	return out
}

// mutate sets some fields of x to those of y, at any depth.
func mutate(r *rand.Rand, x, y reflect.Value) {
	switch x.Kind() {
	case reflect.Struct:
		for i := range x.NumField() {
			f := x.Type().Field(i)
			if !f.IsExported() || f.Type == reflect.TypeFor[metav1.TypeMeta]() || f.Name == "ManagedFields" || f.Name == "UID" {
				continue
			}
			switch n := r.IntN(8); {
			case n == 0:
				x.Field(i).Set(y.Field(i))
			case n == 1:
				x.Field(i).SetZero()
			case n < 5:
				mutate(r, x.Field(i), y.Field(i))
			}
		}
	case reflect.Pointer:
		if !x.IsNil() && !y.IsNil() {
			mutate(r, x.Elem(), y.Elem())
		}
	case reflect.Slice:
		for i := range min(x.Len(), y.Len()) {
			mutate(r, x.Index(i), y.Index(i))
		}
	}
}
