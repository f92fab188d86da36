package history

import (
	"fmt"
	"testing"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// TestForgetsWhatEverybodyRead: memory follows the slowest watch, not the number of writes.
func TestForgetsWhatEverybodyRead(t *testing.T) {
	l := New(0)
	revision := int64(0)
	put := func(n, bytes int) {
		for range n {
			revision++
			l.Append(store.Event{Type: store.Put, Entry: store.Entry{Key: fmt.Sprint("/", revision), Value: make([]byte, bytes), Revision: revision}})
		}
	}
	open := func() store.Watch {
		t.Helper()
		w, err := l.Watch(t.Context(), "/", revision)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	read := func(w store.Watch, want int) {
		t.Helper()
		got, err := w.Next()
		if err != nil || len(got) != want {
			t.Fatalf("%d events, %v; want %d", len(got), err, want)
		}
	}
	held := func() int { return len(l.ring) }

	quick, slow := open(), open()
	put(10000, 10)
	read(quick, 10000)
	if held() != 10000 {
		t.Fatalf("%d events are held for the slow watch, want all", held())
	}
	read(slow, 10000)
	if held() != keepEvents || cap(l.ring) > 2*keepEvents {
		t.Errorf("%d events are held, in an array for %d, when everybody has read them", held(), cap(l.ring))
	}
	put(10, keepBytes)
	read(quick, 10)
	slow.Close()
	put(1, 1)
	read(quick, 1)
	if l.bytes > keepBytes {
		t.Errorf("%d bytes are held", l.bytes)
	}
	if _, err := l.Watch(t.Context(), "/", revision-1); err != nil {
		t.Errorf("resume at the latest event: %v", err)
	}
	if _, err := l.Watch(t.Context(), "/", 1); !fault.Is(err, fault.Gone) {
		t.Errorf("resume long ago: %v, want Gone", err)
	}
}
