package all

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
)

var update = flag.Bool("update", false, "write what is there as what is wanted")

// TestGolden puts each document of testdata/*.yaml through what a creation does to it, and compares
// what comes out (the object, its errors, its line of kubectl get -o wide) with the .golden file of the same name.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	registry := api.NewRegistry(Kinds())
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, doc := range strings.Split(string(in), "\n---\n") {
				out.WriteString(create(t, registry, doc) + "---\n")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), out.String()); d != "" {
				t.Error("go test -update when this is right:", d)
			}
		})
	}
}

func create(t *testing.T, registry *api.Registry, doc string) string {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(doc), &meta); err != nil {
		t.Fatal(err)
	}
	k := registry.Kind(schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind).GroupKind())
	if k == nil {
		t.Fatalf("no kind %v", meta)
	}
	o := k.Hub().New()
	if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o.SetCreationTimestamp(metav1.NewTime(now.Add(-5 * time.Minute)))
	o.SetUID("uid")
	status := o.DeepCopyObject().(api.Object) // shown as it is
	if k.Default != nil {
		k.Default(o)
		again := o.DeepCopyObject().(api.Object)
		if k.Default(again); !cmp.Equal(o, again) {
			t.Errorf("%s: a second default changes %s", k.Kind, cmp.Diff(o, again))
		}
		k.Default(status)
	}
	if k.PrepareCreate != nil {
		k.PrepareCreate(o)
	}
	var out strings.Builder
	if k.Validate != nil {
		errs := k.Validate(o)
		if k.ValidateCreate != nil {
			errs = append(errs, k.ValidateCreate(o)...)
		}
		if k.ValidateUpdate != nil {
			if same := k.ValidateUpdate(o, o.DeepCopyObject().(api.Object)); len(same) > 0 {
				t.Errorf("%s: an update without changes is refused: %v", k.Kind, same)
			}
		}
		if len(errs) > 0 {
			var lines []string // sorted, as maps are checked in any order
			for _, e := range errs {
				lines = append(lines, "error: "+strings.ReplaceAll(e.Error(), "\n", " ")+"\n")
			}
			slices.Sort(lines)
			return strings.Join(lines, "")
		}
	}
	b, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	if k.Cells != nil {
		cells := k.Cells(status, now)
		if len(cells) != len(k.Columns) {
			t.Errorf("%s: %d cells for %d columns", k.Kind, len(cells), len(k.Columns))
		}
		for i, c := range cells {
			fmt.Fprintf(&out, "%s: %v\n", strings.ToUpper(k.Columns[i].Name), c)
		}
	}
	return out.String()
}
