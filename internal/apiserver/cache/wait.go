package cache

import (
	"context"
	"time"
)

type waiter struct {
	revision int64
	done     chan struct{}
}

// Published is the revision up to which everything is visible.
func (c *Cache) Published() int64 { return c.published.Load() }

// Wait blocks until revision is published.
func (c *Cache) Wait(ctx context.Context, revision int64) error {
	if c.published.Load() >= revision {
		return nil
	}
	w := waiter{revision, make(chan struct{})}
	c.waitMu.Lock()
	if c.published.Load() >= revision {
		c.waitMu.Unlock()
		return nil
	}
	c.waiters = append(c.waiters, w)
	c.waitMu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// WaitCurrent blocks until all that was acknowledged before the call is published.
func (c *Cache) WaitCurrent(ctx context.Context) error { return c.Wait(ctx, c.store.Revision()) }

func (c *Cache) release(revision int64) {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	left := c.waiters[:0]
	for _, w := range c.waiters {
		if w.revision <= revision {
			close(w.done)
		} else {
			left = append(left, w)
		}
	}
	clear(c.waiters[len(left):])
	c.waiters = left
}

// Lists of the past are served for at least memory; then they are Expired, as
// upstream's compaction makes them.
const (
	memory  = 5 * time.Minute
	samples = 8
)

type sample struct {
	at       time.Time
	revision int64
}

// sample notes about once a minute what the revision is. Guarded by mu.
func (c *Cache) sample(revision int64) {
	now := time.Now()
	if now.Sub(c.samples[0].at) < memory/(samples-2) {
		return
	}
	copy(c.samples[1:], c.samples[:])
	c.samples[0] = sample{now, revision}
}

// olderThan is the newest known revision that is at least so old. Guarded by mu.
func (c *Cache) olderThan(age time.Duration) int64 {
	now := time.Now()
	for _, s := range c.samples {
		if !s.at.IsZero() && now.Sub(s.at) >= age {
			return s.revision
		}
	}
	return 0
}

// age is the time since the cache was made, as the clock on the wall does not change it.
func (c *Cache) age() time.Duration { return time.Since(c.started) }

// trimLater makes sure that history which gets old is forgotten even when nothing more is written. Guarded by mu.
func (c *Cache) trimLater(d time.Duration) { c.trimming = time.AfterFunc(d, c.trim) }

func (c *Cache) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trimming = nil
	c.sample(c.revision)
	now, next := c.age(), time.Duration(-1)
	for _, k := range c.index.Load().kinds {
		k.trim(now - ringAge)
		if k.excess() {
			if due := k.ring[0].at + ringAge - now; next < 0 || due < next {
				next = due
			}
		}
	}
	if next >= 0 && !c.stopped {
		c.trimLater(max(next, ringAge/8)) // many at a time
	}
}

// stop ends the timer.
func (c *Cache) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if c.trimming != nil {
		c.trimming.Stop()
	}
}
