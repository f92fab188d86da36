package all

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
)

type protoMessage interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// TestKinds holds every description to what the server relies on.
func TestKinds(t *testing.T) {
	kinds := Kinds()
	api.NewRegistry(kinds) // panics when two kinds share a name
	for _, k := range kinds {
		t.Run(k.Hub().GroupVersion().String()+"/"+k.Resource, func(t *testing.T) {
			if k.Resource != strings.ToLower(k.Resource) || len(k.Versions) == 0 {
				t.Fatal("bad resource name or no versions")
			}
			if (k.Columns == nil) != (k.Cells == nil) {
				t.Error("columns and cells come together")
			}
			for i, v := range k.Versions {
				checkVersion(t, k, v, i == 0)
			}
			for _, s := range k.Subresources {
				if s.Name == "" || len(s.Verbs) == 0 {
					t.Errorf("subresource %+v has no name or no verbs", s)
				}
			}
		})
	}
}

func checkVersion(t *testing.T, k *api.Kind, v api.Version, hub bool) {
	o := v.New()
	if got := reflect.TypeOf(o).Elem().Name(); got != k.Kind {
		t.Errorf("New of %s gives %s", v.GroupVersion(), got)
	}
	if hub != (v.FromHub == nil && v.ToHub == nil) {
		t.Errorf("%s: conversions belong to the versions after the hub", v.GroupVersion())
	}
	if !hub {
		back, err := v.FromHub(k.Hub().New())
		if err != nil || reflect.TypeOf(back) != reflect.TypeOf(o) {
			t.Errorf("FromHub gives %T, %v", back, err)
		}
		if back, err = v.ToHub(o); err != nil || reflect.TypeOf(back) != reflect.TypeOf(k.Hub().New()) {
			t.Errorf("ToHub gives %T, %v", back, err)
		}
	}
	if v.NewList == nil {
		if !k.Virtual {
			t.Error("no list type")
		}
	} else if items, err := meta.GetItemsPtr(v.NewList()); err != nil || reflect.TypeOf(items).Elem().Elem() != reflect.TypeOf(o).Elem() {
		t.Errorf("NewList does not hold %T: %v", o, err)
	}
	o.SetName("a")
	roundTrip(t, v, o)
}

func roundTrip(t *testing.T, v api.Version, o api.Object) {
	j, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	fromJSON := v.New()
	if err := json.Unmarshal(j, fromJSON); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(o, fromJSON); d != "" {
		t.Error("JSON:", d)
	}
	p, ok := o.(protoMessage)
	if !ok {
		t.Fatal("has no protobuf")
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	fromProto := v.New()
	if err := fromProto.(protoMessage).Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(o, fromProto); d != "" {
		t.Error("protobuf:", d)
	}
	if d := cmp.Diff(o, o.DeepCopyObject()); d != "" {
		t.Error("deep copy:", d)
	}
}

// TestDefaultTwice: a default may not depend on whether it ran before, because stored objects are defaulted again when read.
func TestDefaultTwice(t *testing.T) {
	for _, k := range Kinds() {
		if k.Default == nil {
			continue
		}
		o := k.Hub().New()
		k.Default(o)
		again := o.DeepCopyObject().(api.Object)
		k.Default(again)
		if d := cmp.Diff(o, again); d != "" {
			t.Errorf("%s: %s", k.Resource, d)
		}
	}
}

func BenchmarkPod(b *testing.B) {
	k := api.NewRegistry(Kinds()).Kind(schema.GroupKind{Kind: "Pod"})
	in := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}}
	in.Spec.Containers = []corev1.Container{{Name: "web", Image: "nginx", Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}
	k.Default(in)
	b.ReportAllocs()
	for b.Loop() {
		k.Default(in)
		if errs := k.Validate(in); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

func BenchmarkKinds(b *testing.B) {
	for b.Loop() {
		Kinds()
	}
}
