package client

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue[string]()
		get := func(want string) {
			t.Helper()
			if k, ok := q.Get(t.Context()); !ok || k != want {
				t.Fatalf("got %q, %v, want %q", k, ok, want)
			}
		}
		q.Add("a")
		q.Add("b")
		q.Add("a")
		get("a")
		q.Add("a") // while worked on: comes again, but not before Done
		get("b")
		if q.Len() != 0 {
			t.Error("a key is handed to two workers")
		}
		q.Done("a")
		get("a")
		q.Done("a")
		q.Done("b")

		start := time.Now()
		q.AddAfter("late", time.Hour)
		q.AddAfter("late", time.Minute)
		q.AddAfter("late", 2*time.Minute)
		q.AddAfter("soon", time.Second)
		get("soon")
		get("late")
		if d := time.Since(start); d != time.Minute {
			t.Errorf("came after %s", d)
		}
		q.Done("late")
		q.Done("soon")
		start = time.Now()
		for range 3 {
			q.Retry("r")
			get("r")
			q.Done("r")
		}
		if d := time.Since(start); d != 7*RetryFirst {
			t.Errorf("three retries took %s", d)
		}
		done := make(chan bool)
		go func() { _, ok := q.Get(t.Context()); done <- ok }()
		synctest.Wait()
		q.Close()
		if <-done {
			t.Error("a closed queue gives keys")
		}
	})
}
