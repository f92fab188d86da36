package apiserver_test

import (
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/mem"
)

// TestConcurrentPatches: patches of one object that race all take effect.
func TestConcurrentPatches(t *testing.T) {
	f := start(t)
	ctx, maps := t.Context(), client.For[*corev1.ConfigMap](f.conn())
	ok[*corev1.ConfigMap](t)(maps.Create(ctx, configMap("a")))
	const writers = 4
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range 20 {
				patch := fmt.Sprintf(`{"data":{"%d-%d":"x"}}`, i, j)
				if _, err := maps.Patch(ctx, "default", "a", "", types.MergePatchType, []byte(patch)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if cm := ok[*corev1.ConfigMap](t)(maps.Get(ctx, "default", "a")); len(cm.Data) != writers*20 {
		t.Errorf("%d of %d patches are there", len(cm.Data), writers*20)
	}
}

// unclosed is a store that outlives its server.
type unclosed struct{ store.Store }

func (unclosed) Close() error { return nil }

// TestRestart: another server on the same store serves the same objects, and sees what the first one writes.
func TestRestart(t *testing.T) {
	st := mem.New()
	onStore := func(c *apiserver.Config) { c.Store = unclosed{st} }
	a := start(t, onStore)
	ctx, maps := t.Context(), client.For[*corev1.ConfigMap](a.conn())
	one := ok[*corev1.ConfigMap](t)(maps.Create(ctx, configMap("one", "k", "v")))
	e, err := st.Get(ctx, "/registry/configmaps/default/one")
	if err != nil || string(e.Value[:4]) != "k8s\x00" {
		t.Fatalf("stored %q, %v", e.Value, err)
	}
	b := start(t, onStore)
	others := client.For[*corev1.ConfigMap](b.conn())
	got := ok[*corev1.ConfigMap](t)(others.Get(ctx, "default", "one"))
	if got.ResourceVersion != one.ResourceVersion || got.Data["k"] != "v" || got.UID != one.UID {
		t.Errorf("after restart %+v", got)
	}
	two := ok[*corev1.ConfigMap](t)(maps.Create(ctx, configMap("two")))
	if _, err := b.conn().Get(ctx, b.conn().Registry().Kinds()[0], "default", "two", metav1.GetOptions{ResourceVersion: two.ResourceVersion}); err != nil {
		t.Errorf("written by another server: %v", err)
	}
	// What the other server changed is no conflict for one that does not insist on a version.
	two.Data = map[string]string{"a": "b"}
	two.ResourceVersion = ""
	ok[*corev1.ConfigMap](t)(others.Update(ctx, two))
	if cur := ok[*corev1.ConfigMap](t)(maps.Get(ctx, "default", "two")); cur.Data["a"] != "b" {
		t.Errorf("first server has %+v", cur)
	}
}
