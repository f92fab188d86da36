package clienttest_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/client/clienttest"
)

// flaky breaks watches on demand, and may not know initial events.
type flaky struct {
	*clienttest.Fake
	plain  bool
	broken atomic.Pointer[context.CancelFunc]
}

func (f *flaky) Watch(ctx context.Context, k *api.Kind, ns string, o metav1.ListOptions) (client.Watch, error) {
	if f.plain && o.SendInitialEvents != nil {
		return nil, apierrors.NewBadRequest("no")
	}
	ctx, cancel := context.WithCancel(ctx)
	f.broken.Store(&cancel)
	return f.Fake.Watch(ctx, k, ns, o)
}

// A watch that broke goes on where it was; one that expired finds out what was deleted meanwhile.
func TestCacheComesBack(t *testing.T) {
	for name, plain := range map[string]bool{"initial events": false, "list": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { comesBack(t, plain) })
		})
	}
}

func comesBack(t *testing.T, plain bool) {
	f := &flaky{Fake: clienttest.NewFake(clienttest.Registry()), plain: plain}
	ctx, cancel := context.WithCancel(t.Context())
	node := func(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	f.Seed(node("a"), node("b"))
	c := client.NewCaches(f, slog.New(slog.DiscardHandler))
	nodes := client.CacheOf[*corev1.Node](c)
	var seen []string
	nodes.Subscribe(func(old, obj *corev1.Node) {
		switch {
		case old == nil:
			seen = append(seen, "+"+obj.Name)
		case obj == nil:
			seen = append(seen, "-"+old.Name)
		default:
			seen = append(seen, obj.Name)
		}
	})
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	if err := c.WaitSynced(ctx); err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		synctest.Wait()
		if d := cmp.Diff(want, seen); d != "" {
			t.Error(d)
		}
		seen = nil
	}
	check("+a", "+b")
	api := client.For[*corev1.Node](f)
	(*f.broken.Load())()
	synctest.Wait()
	api.Create(ctx, node("c"))
	waitFor(t, nodes, 3)
	check("+c")
	(*f.broken.Load())()
	synctest.Wait()
	api.Delete(ctx, "", "a", metav1.DeleteOptions{})
	f.Compact()
	waitFor(t, nodes, 2)
	check("-a")
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// waitFor lets the bubble's clock run until the cache has n objects.
func waitFor(t *testing.T, c client.Cache[*corev1.Node], n int) {
	t.Helper()
	for range 100 {
		synctest.Wait()
		if c.Len() == n {
			return
		}
		time.Sleep(time.Second) // of the bubble
	}
	t.Fatalf("%d objects, want %d", c.Len(), n)
}
