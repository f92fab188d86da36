package cache_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/store/mem"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// follow runs a cache over a store of its own and gives a function that writes a ConfigMap of n bytes and waits
// until the cache has it.
func follow(t *testing.T, k *api.Kind) (*cache.Cache, func(key string, n int)) {
	st := mem.New()
	c := cache.New(st, api.NewRegistry([]*api.Kind{k}), cache.Transform{}, slog.New(slog.DiscardHandler))
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		st.Close()
	})
	return c, func(key string, n int) {
		t.Helper()
		namespace, name, _ := strings.Cut(key, "/")
		obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: map[string]string{"k": string(make([]byte, n))}}
		raw, err := codec.Stored(k, obj)
		if err != nil {
			t.Fatal(err)
		}
		e, err := st.Create(ctx, "/registry/configmaps/"+key, raw)
		if err == nil {
			err = c.Wait(ctx, e.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func remembered(c *cache.Cache, k *api.Kind, revision int64) bool {
	_, err := c.SnapshotAt(k, revision)
	return !fault.Is(err, fault.Gone)
}

// TestHistoryGetsOld: what happened is remembered for two minutes and given up soon after, also when nothing more is written.
func TestHistoryGetsOld(t *testing.T) {
	for name, load := range map[string]struct{ n, bytes int }{"many": {1000, 1}, "large": {20, 100 << 10}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := maps()
				c, put := follow(t, k)
				for i := range load.n {
					put(fmt.Sprint("n/", i), load.bytes)
				}
				time.Sleep(119 * time.Second)
				if !remembered(c, k, 1) {
					t.Error("forgotten within two minutes")
				}
				time.Sleep(17 * time.Second)
				if remembered(c, k, 1) {
					t.Error("remembered for longer")
				}
				if !remembered(c, k, int64(load.n)-1) {
					t.Error("nothing is left")
				}
			})
		})
	}
}

// TestQuietNamespace: a watch of a namespace in which nothing happens does not end because of what happens elsewhere.
func TestQuietNamespace(t *testing.T) {
	k := maps()
	c, put := follow(t, k)
	cur, err := c.Watch(k, "quiet", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	slow, err := c.Watch(k, "busy", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for i := range 20000 {
		put(fmt.Sprint("busy/", i), 1)
	}
	put("quiet/1", 1)
	<-cur.Wake()
	evs, _, err := cur.Take()
	if err != nil {
		t.Fatal(err)
	}
	if last := evs[len(evs)-1].Entry; last.Key != "quiet/1" {
		t.Errorf("the last event is of %s", last.Key)
	}
	if _, _, err := slow.Take(); !fault.Is(err, fault.Gone) {
		t.Errorf("a watch that missed events: %v, want Gone", err)
	}
}
