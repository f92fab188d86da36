package cache_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/mem"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func maps() *api.Kind {
	return &api.Kind{Kind: "ConfigMap", Resource: "configmaps", Namespaced: true, Versions: []api.Version{{
		Version: "v1", New: func() api.Object { return &corev1.ConfigMap{} }, NewList: func() runtime.Object { return &corev1.ConfigMapList{} },
	}}}
}

func value(t *testing.T, k *api.Kind, name, data string) []byte {
	t.Helper()
	b, err := codec.Stored(k, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n"}, Data: map[string]string{"k": data}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// forgetful loses its history before the first watch.
type forgetful struct {
	store.Store
	once sync.Once
	lose func()
}

func (f *forgetful) Watch(ctx context.Context, prefix string, after int64) (store.Watch, error) {
	lost := false
	f.once.Do(func() { f.lose(); lost = true })
	if lost {
		return nil, fault.New(fault.Gone, "history is gone")
	}
	return f.Store.Watch(ctx, prefix, after)
}

// TestFellBehind: what happened while history was lost is found by comparing, and told to watchers.
func TestFellBehind(t *testing.T) {
	k, st, ctx := maps(), mem.New(), t.Context()
	defer st.Close()
	put := func(name, data string, rev int64) int64 {
		t.Helper()
		var e store.Entry
		var err error
		if key := "/registry/configmaps/n/" + name; rev == 0 {
			e, err = st.Create(ctx, key, value(t, k, name, data))
		} else {
			e, err = st.Update(ctx, key, value(t, k, name, data), rev)
		}
		if err != nil {
			t.Fatal(err)
		}
		return e.Revision
	}
	put("same", "1", 0)
	changed := put("changed", "1", 0)
	put("deleted", "1", 0)
	f := &forgetful{Store: st, lose: func() {
		put("changed", "2", changed)
		put("new", "1", 0)
		if _, err := st.Delete(ctx, "/registry/configmaps/n/deleted", 0); err != nil {
			t.Error(err)
		}
	}}
	c := cache.New(f, api.NewRegistry([]*api.Kind{k}), cache.Transform{}, slog.New(slog.DiscardHandler))
	if err := c.Load(ctx); err != nil {
		t.Fatal(err)
	}
	cur, err := c.Watch(k, "", c.Published())
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(run) }()
	if err := c.Wait(ctx, 6); err != nil {
		t.Fatal(err)
	}
	evs, rev, err := cur.Take()
	if err != nil || rev != 6 || len(evs) != 3 {
		t.Fatalf("%d events at %d, %v", len(evs), rev, err)
	}
	for i, want := range []struct {
		typ  cache.EventType
		name string
	}{{cache.Modified, "changed"}, {cache.Added, "new"}, {cache.Deleted, "deleted"}} {
		if evs[i].Type != want.typ || evs[i].Entry.Obj.GetName() != want.name {
			t.Errorf("event %d: %d %s", i, evs[i].Type, evs[i].Entry.Key)
		}
	}
	put("after", "1", 0)
	if err := c.Wait(ctx, 7); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Get(k, "n", "after"); !ok {
		t.Error("no longer follows the store")
	}
	past, err := c.SnapshotAt(k, 4)
	if err != nil || past.Len() != 3 {
		t.Errorf("at revision 4: %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
