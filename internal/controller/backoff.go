package controller

import (
	"sync"
	"time"
)

// Backoff holds back what fails again and again: the first time at once, then after First, doubled up to Last. What was
// quiet for twice Last starts afresh. The zero value with First and Last set is ready for use.
type Backoff struct {
	First, Last time.Duration

	mu  sync.Mutex
	ids map[string]held
}

type held struct {
	wait time.Duration
	at   time.Time
}

// Try is zero when id may be tried now, which counts as a try; otherwise how long to wait.
func (b *Backoff) Try(id string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, ok := b.ids[id]
	switch {
	case !ok || now.Sub(h.at) > 2*b.Last:
		b.sweep(now)
		h.wait = b.First
	case now.Sub(h.at) < h.wait:
		return h.wait - now.Sub(h.at)
	default:
		h.wait = min(2*h.wait, b.Last)
	}
	h.at = now
	b.ids[id] = h
	return 0
}

// sweep forgets what was quiet for long.
func (b *Backoff) sweep(now time.Time) {
	if b.ids == nil {
		b.ids = map[string]held{}
	}
	for id, h := range b.ids {
		if now.Sub(h.at) > 2*b.Last {
			delete(b.ids, id)
		}
	}
}
