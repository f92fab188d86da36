package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// TestPruneChangesNothing: ownership is the same with and without leaving out what is equal.
func TestPruneChangesNothing(t *testing.T) {
	k := &api.Kind{Kind: "Pod", Resource: "pods", Namespaced: true,
		Versions:     []api.Version{{Version: "v1", New: func() api.Object { return &corev1.Pod{} }, NewList: func() runtime.Object { return &corev1.PodList{} }}},
		Subresources: []api.Subresource{{Name: "status"}}}
	tr := New()
	random := func(seed int64) *corev1.Pod {
		p := &corev1.Pod{}
		fill(seed, p)
		p.TypeMeta, p.ManagedFields = metav1.TypeMeta{}, nil
		return p
	}
	for seed := range int64(30) {
		old, other := random(seed), random(seed+1000)
		if err := tr.Update(k, 0, "", nil, old, "creator"); err != nil {
			t.Fatal(err)
		}
		for sub, change := range map[string]func(*corev1.Pod){
			"status": func(p *corev1.Pod) { p.Status = other.Status },
			"":       func(p *corev1.Pod) { p.Spec = other.Spec; p.Labels = other.Labels },
		} {
			pruned, whole := old.DeepCopy(), old.DeepCopy()
			change(pruned)
			change(whole)
			if err := tr.Update(k, 0, sub, old, pruned, "updater"); err != nil {
				t.Fatal(err)
			}
			m, _, err := tr.manager(k, 0, sub)
			if err != nil {
				t.Fatal(err)
			}
			want := m.UpdateNoErrors(codec.Shallow(old), whole, "updater").(api.Object)
			if d := cmp.Diff(sets(t, want), sets(t, pruned)); d != "" {
				t.Fatalf("seed %d, %q: %s", seed, sub, d)
			}
		}
	}
}

func sets(t *testing.T, o api.Object) map[string]string {
	out := map[string]string{}
	for _, m := range o.GetManagedFields() {
		s := &fieldpath.Set{}
		if err := s.FromJSON(m.FieldsV1.GetRawReader()); err != nil {
			t.Fatal(err)
		}
		out[m.Manager+"/"+m.Subresource] = s.String()
	}
	return out
}
