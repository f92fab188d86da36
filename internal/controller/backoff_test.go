package controller

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := Backoff{First: time.Second, Last: 3 * time.Second}
	at := time.Unix(0, 0)
	for i, c := range []struct{ pass, want time.Duration }{
		{0, 0}, {0, time.Second}, {time.Second, 0}, {time.Second, time.Second}, {time.Second, 0}, {2 * time.Second, time.Second}, {time.Second, 0}, {7 * time.Second, 0}, {time.Second, 0},
	} {
		at = at.Add(c.pass)
		if got := b.Try("a", at); got != c.want {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
	}
	if b.Try("b", at) != 0 {
		t.Error("others are held back too")
	}
}
