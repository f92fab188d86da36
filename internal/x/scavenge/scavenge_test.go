package scavenge

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// TestPromises: a collection is made for what came since the last one, or died.
func TestPromises(t *testing.T) {
	const mb = 1 << 20
	last := usage{held: 20 * mb, live: 10 * mb}
	for name, c := range map[string]struct {
		now  usage
		want bool
	}{
		"nothing happened":   {usage{21 * mb, 10 * mb}, false},
		"it grew":            {usage{40 * mb, 10 * mb}, true},
		"what lived is gone": {usage{20 * mb, 5 * mb}, true},
	} {
		if got := c.now.promises(last); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPercent: a small heap has room, a large one stays near what lives.
func TestPercent(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{0: 400, 2 * mb: 400, 4 * mb: 200, 16 * mb: 50, 500 * mb: 50} {
		if got := percent(live); got != want {
			t.Errorf("%d MB live: %d %%, want %d", live/mb, got, want)
		}
	}
}

// TestNotify: every collection is told, until the end.
func TestNotify(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	collected := make(chan struct{}, 1)
	notify(ctx, collected)
	for range 3 {
		runtime.GC()
		select {
		case <-collected:
		case <-time.After(10 * time.Second):
			t.Fatal("a collection was not told")
		}
	}
	cancel()
}
