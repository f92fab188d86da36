package garbage

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func object(name string, owners ...string) *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)}}
	for _, o := range owners {
		yes := true
		m.OwnerReferences = append(m.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: o, UID: types.UID("uid-" + o), BlockOwnerDeletion: &yes})
	}
	return m
}

func names(r *test.Rig) []string {
	out := []string{}
	for _, m := range test.List[*corev1.ConfigMap](r) {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}

func TestCollector(t *testing.T) {
	tree := []api.Object{object("root"), object("a", "root"), object("b", "a"), object("shared", "root", "other"), object("other")}
	for _, c := range []struct {
		policy metav1.DeletionPropagation
		want   []string
	}{
		{metav1.DeletePropagationBackground, []string{"other", "shared"}},
		{metav1.DeletePropagationForeground, []string{"other", "shared"}},
		{metav1.DeletePropagationOrphan, []string{"a", "b", "other", "shared"}},
	} {
		t.Run(string(c.policy), func(t *testing.T) {
			test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, tree, func(r *test.Rig) {
				var order []string
				var mu sync.Mutex
				r.Intercept(func(verb string, _ *api.Kind, o api.Object) error {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, verb+" "+o.GetName())
					return nil
				})
				r.OK(client.For[*corev1.ConfigMap](r.Fake).Delete(r.Ctx, "ns", "root", metav1.DeleteOptions{PropagationPolicy: &c.policy}))
				r.Settle()
				if d := cmp.Diff(c.want, names(r)); d != "" {
					t.Error(d)
				}
				if got := test.Get[*corev1.ConfigMap](r, "ns", "shared").OwnerReferences; c.policy != metav1.DeletePropagationOrphan && len(got) != 1 {
					t.Errorf("shared has owners %v", got)
				}
				if last := order[len(order)-1]; c.policy == metav1.DeletePropagationForeground && last != "patch root" {
					t.Errorf("the owner did not go last: %q", order)
				}
			})
		})
	}
}

// Kinds are watched apart, so the end of an owner can be seen before what it had let go.
func TestReleasedDependentStays(t *testing.T) {
	released := object("released")
	test.Run(t, func(d controller.Deps) []controller.Part { return nil }, []api.Object{released}, func(r *test.Rig) {
		c := &Collector{conn: r.Fake, graph: newGraph()}
		stale := object("released", "gone")
		c.graph.put(r.Fake.Registry().Kind(corev1.SchemeGroupVersion.WithKind("ConfigMap").GroupKind()), stale)
		r.OK(c.sync(r.Ctx, controller.Key{Name: string(stale.UID)}))
		if d := cmp.Diff([]string{"released"}, names(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestOwnerNeverExisted(t *testing.T) {
	seed := []api.Object{object("lost", "nobody"), object("root"), object("kept", "root")}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, func(r *test.Rig) {
		if d := cmp.Diff([]string{"kept", "root"}, names(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestCircleOfOwnersEnds(t *testing.T) {
	seed := []api.Object{object("a", "c"), object("b", "a"), object("c", "b")}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, func(r *test.Rig) {
		policy := metav1.DeletePropagationForeground
		r.OK(client.For[*corev1.ConfigMap](r.Fake).Delete(r.Ctx, "ns", "a", metav1.DeleteOptions{PropagationPolicy: &policy}))
		r.Settle()
		if left := names(r); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}
