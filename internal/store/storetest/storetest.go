// Package storetest is the suite that every store.Store passes.
package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// patience bounds how long a watch may take to deliver.
const patience = 5 * time.Second

// Run runs the whole suite. open gives a new, empty store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, f := range map[string]func(*testing.T, store.Store){
		"create":         testCreate,
		"update":         testUpdate,
		"delete":         testDelete,
		"list":           testList,
		"concurrent":     testConcurrent,
		"watch":          testWatch,
		"watch resumes":  testWatchResumes,
		"watch prefix":   testWatchPrefix,
		"watch ends":     testWatchEnds,
		"watch is exact": testWatchExact,
		"closed":         testClosed,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { s.Close() })
			f(t, s)
		})
	}
}

// Must fails the test on an error and returns the value.
func Must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("got error %v, want one of kind %q", err, kind)
	}
}

func testCreate(t *testing.T, s store.Store) {
	ctx, must := t.Context(), Must[store.Entry](t)
	if s.Revision() != 0 {
		t.Fatalf("an empty store is at revision %d", s.Revision())
	}
	_, err := s.Get(ctx, "/a")
	wantKind(t, err, fault.NotFound)
	got := must(s.Create(ctx, "/a", []byte("one")))
	want := store.Entry{Key: "/a", Value: []byte("one"), Revision: 1, Created: 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	_, err = s.Create(ctx, "/a", []byte("two"))
	wantKind(t, err, fault.Exists)
	if d := cmp.Diff(want, must(s.Get(ctx, "/a"))); d != "" {
		t.Fatal(d)
	}
	if s.Revision() != 1 {
		t.Fatalf("a failed write took a revision: %d", s.Revision())
	}
	if e := must(s.Create(ctx, "/empty", nil)); e.Revision != 2 {
		t.Fatalf("empty value: %+v", e)
	}
}

func testUpdate(t *testing.T, s store.Store) {
	ctx, must := t.Context(), Must[store.Entry](t)
	_, err := s.Update(ctx, "/a", nil, 1)
	wantKind(t, err, fault.NotFound)
	one := must(s.Create(ctx, "/a", []byte("one")))
	two := must(s.Update(ctx, "/a", []byte("two"), one.Revision))
	want := store.Entry{Key: "/a", Value: []byte("two"), Revision: 2, Created: 1}
	if d := cmp.Diff(want, two); d != "" {
		t.Fatal(d)
	}
	_, err = s.Update(ctx, "/a", []byte("three"), one.Revision)
	wantKind(t, err, fault.Conflict)
	if d := cmp.Diff(want, must(s.Get(ctx, "/a"))); d != "" {
		t.Fatal(d)
	}
}

func testDelete(t *testing.T, s store.Store) {
	ctx, must := t.Context(), Must[store.Entry](t)
	_, err := s.Delete(ctx, "/a", 0)
	wantKind(t, err, fault.NotFound)
	must(s.Create(ctx, "/a", []byte("one")))
	_, err = s.Delete(ctx, "/a", 7)
	wantKind(t, err, fault.Conflict)
	got := must(s.Delete(ctx, "/a", 1))
	if d := cmp.Diff(store.Entry{Key: "/a", Value: []byte("one"), Revision: 2, Created: 1}, got); d != "" {
		t.Fatal(d)
	}
	_, err = s.Get(ctx, "/a")
	wantKind(t, err, fault.NotFound)
	if e := must(s.Create(ctx, "/a", []byte("two"))); e.Created != 3 || e.Revision != 3 {
		t.Fatalf("created again: %+v", e)
	}
	must(s.Delete(ctx, "/a", 0))
}

func testList(t *testing.T, s store.Store) {
	ctx, must := t.Context(), Must[store.Entry](t)
	for _, k := range []string{"/b/2", "/a/1", "/b/1", "/b", "/c/1", "/b/10"} {
		must(s.Create(ctx, k, []byte(k)))
	}
	for prefix, want := range map[string][]string{
		"/b/": {"/b/1", "/b/10", "/b/2"},
		"/b":  {"/b", "/b/1", "/b/10", "/b/2"},
		"":    {"/a/1", "/b", "/b/1", "/b/10", "/b/2", "/c/1"},
		"/d":  nil,
		"/c":  {"/c/1"},
	} {
		es, rev, err := s.List(ctx, prefix)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range es {
			if string(e.Value) != e.Key {
				t.Errorf("%s has value %q", e.Key, e.Value)
			}
			got = append(got, e.Key)
		}
		if d := cmp.Diff(want, got); d != "" || rev != 6 {
			t.Errorf("list %q at %d: %s", prefix, rev, d)
		}
	}
}

// testConcurrent: compare-and-swap loses no increment and revisions are unique.
func testConcurrent(t *testing.T, s store.Store) {
	const writers, each = 8, 25
	ctx := t.Context()
	Must[store.Entry](t)(s.Create(ctx, "/n", []byte{0, 0}))
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int64]bool{}
	note := func(e store.Entry) {
		mu.Lock()
		defer mu.Unlock()
		if seen[e.Revision] {
			t.Errorf("revision %d twice", e.Revision)
		}
		seen[e.Revision] = true
	}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				e, err := s.Create(ctx, fmt.Sprintf("/w/%d/%d", w, i), nil)
				if err != nil {
					t.Error(err)
					return
				}
				note(e)
				for done := false; !done; {
					old, err := s.Get(ctx, "/n")
					if err != nil {
						t.Error(err)
						return
					}
					e, err := s.Update(ctx, "/n", []byte{old.Value[0] + 1, 0}, old.Revision)
					if err == nil {
						note(e)
						done = true
					} else if !fault.Is(err, fault.Conflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if e, _ := s.Get(ctx, "/n"); len(e.Value) == 0 || e.Value[0] != writers*each {
		t.Fatalf("counter is %v, want %d", e.Value, writers*each)
	}
	if want := int64(2*writers*each + 1); s.Revision() != want {
		t.Fatalf("revision %d, want %d", s.Revision(), want)
	}
}

// collect reads n events, failing the test when they do not come.
func collect(t *testing.T, w store.Watch, n int) []store.Event {
	t.Helper()
	stop := time.AfterFunc(patience, w.Close)
	defer stop.Stop()
	var out []store.Event
	for len(out) < n {
		evs, err := w.Next()
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(out), n, err)
		}
		if len(evs) == 0 {
			t.Fatal("Next returned no event and no error")
		}
		out = append(out, evs...)
	}
	return out
}

func testWatch(t *testing.T, s store.Store) {
	ctx := t.Context()
	w := Must[store.Watch](t)(s.Watch(ctx, "/", 0))
	defer w.Close()
	must := Must[store.Entry](t)
	must(s.Create(ctx, "/a", []byte("1")))
	must(s.Update(ctx, "/a", []byte("2"), 1))
	must(s.Delete(ctx, "/a", 2))
	want := []store.Event{
		{Type: store.Put, Entry: store.Entry{Key: "/a", Value: []byte("1"), Revision: 1, Created: 1}},
		{Type: store.Put, Entry: store.Entry{Key: "/a", Value: []byte("2"), Revision: 2, Created: 1}, Previous: []byte("1")},
		{Type: store.Delete, Entry: store.Entry{Key: "/a", Revision: 3, Created: 1}, Previous: []byte("2")},
	}
	if d := cmp.Diff(want, collect(t, w, 3)); d != "" {
		t.Fatal(d)
	}
}

func testWatchResumes(t *testing.T, s store.Store) {
	ctx, must := t.Context(), Must[store.Entry](t)
	for i := range 10 {
		must(s.Create(ctx, fmt.Sprintf("/k%d", i), nil))
	}
	for after := range int64(10) {
		w := Must[store.Watch](t)(s.Watch(ctx, "/", after))
		evs := collect(t, w, 10-int(after))
		if got := evs[0].Entry.Revision; got != after+1 || len(evs) != 10-int(after) {
			t.Fatalf("after %d: %d events, the first of revision %d", after, len(evs), got)
		}
		w.Close()
	}
	_, err := s.Watch(ctx, "/", 11)
	wantKind(t, err, fault.Gone)
}

func testWatchPrefix(t *testing.T, s store.Store) {
	ctx, must := t.Context(), Must[store.Entry](t)
	w := Must[store.Watch](t)(s.Watch(ctx, "/b/", 0))
	defer w.Close()
	for _, k := range []string{"/a/1", "/b/1", "/bb/1", "/b/2", "/c/1"} {
		must(s.Create(ctx, k, nil))
	}
	evs := collect(t, w, 2)
	if len(evs) != 2 || evs[0].Entry.Key != "/b/1" || evs[1].Entry.Key != "/b/2" {
		t.Fatalf("got %+v", evs)
	}
}

func testWatchEnds(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	byContext := Must[store.Watch](t)(s.Watch(ctx, "/", 0))
	byClose := Must[store.Watch](t)(s.Watch(t.Context(), "/", 0))
	byStore := Must[store.Watch](t)(s.Watch(t.Context(), "/", 0))
	ends := func(name string, w store.Watch, end func()) {
		t.Helper()
		done := make(chan error, 1)
		go func() { _, err := w.Next(); done <- err }()
		end()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case <-time.After(patience):
			t.Errorf("%s: still blocked", name)
		}
		if _, err := w.Next(); err == nil {
			t.Errorf("%s: no error the second time", name)
		}
		w.Close()
	}
	ends("context", byContext, cancel)
	ends("close", byClose, byClose.Close)
	ends("store", byStore, func() { s.Close() })
}

// testWatchExact: what a watch delivers while many write is every write, once, in order.
func testWatchExact(t *testing.T, s store.Store) {
	const writers, each = 4, 50
	ctx := t.Context()
	w := Must[store.Watch](t)(s.Watch(ctx, "/", 0))
	defer w.Close()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				if _, err := s.Create(ctx, fmt.Sprintf("/%d/%d", i, j), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	evs := collect(t, w, writers*each)
	wg.Wait()
	for i, ev := range evs {
		if ev.Entry.Revision != int64(i+1) {
			t.Fatalf("event %d has revision %d", i, ev.Entry.Revision)
		}
	}
}

func testClosed(t *testing.T, s store.Store) {
	ctx := t.Context()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(ctx, "/a")
	wantKind(t, err, fault.Unavailable)
	_, _, err = s.List(ctx, "/")
	wantKind(t, err, fault.Unavailable)
	_, err = s.Create(ctx, "/a", nil)
	wantKind(t, err, fault.Unavailable)
	_, err = s.Update(ctx, "/a", nil, 1)
	wantKind(t, err, fault.Unavailable)
	_, err = s.Delete(ctx, "/a", 0)
	wantKind(t, err, fault.Unavailable)
	_, err = s.Watch(ctx, "/", 0)
	wantKind(t, err, fault.Unavailable)
}
