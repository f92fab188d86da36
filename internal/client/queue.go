package client

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/x/shrink"
)

// Backoff of Retry: the first delay, and the longest.
const (
	RetryFirst = 5 * time.Millisecond
	RetryLast  = 5 * time.Minute
)

// Queue hands out keys that want work. A key is in it at most once, is never handed to two workers at a time,
// and comes again when it was added while being worked on. Use NewQueue; all methods may be called concurrently.
//
//	Add ──► waiting ──Get──► working ──Done──► gone
//	           ▲ ▲              │ Add
//	     timer │ └──────Done────┴─► (again)
//	        delayed ◄── AddAfter, Retry
type Queue[K comparable] struct {
	mu      sync.Mutex
	wake    chan struct{} // one token: somebody should look
	waiting []K
	queued  shrink.Map[K, struct{}] // waiting, or to be added again at Done
	working map[K]bool
	delayed delays[K]
	due     shrink.Map[K, *delay[K]]
	fails   map[K]int
	timer   *time.Timer
	closed  chan struct{}
}

// NewQueue makes an empty queue.
func NewQueue[K comparable]() *Queue[K] {
	return &Queue[K]{
		wake: make(chan struct{}, 1), closed: make(chan struct{}),
		working: map[K]bool{}, fails: map[K]int{},
	}
}

// Add makes k wait for a worker.
func (q *Queue[K]) Add(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(k)
}

func (q *Queue[K]) add(k K) {
	if _, in := q.queued.Get(k); in || q.isClosed() {
		return
	}
	q.queued.Set(k, struct{}{})
	if q.working[k] {
		return
	}
	q.waiting = append(q.waiting, k)
	q.signal()
}

func (q *Queue[K]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// AddAfter adds k once d has passed. Of several delays of one key the earliest counts.
func (q *Queue[K]) AddAfter(k K, d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d <= 0 {
		q.add(k)
		return
	}
	if q.isClosed() {
		return
	}
	at := time.Now().Add(d)
	switch have, ok := q.due.Get(k); {
	case !ok:
		have = &delay[K]{key: k, at: at}
		q.due.Set(k, have)
		heap.Push(&q.delayed, have)
	case at.Before(have.at):
		have.at = at
		heap.Fix(&q.delayed, have.index)
	default:
		return
	}
	q.arm()
}

// Retry adds k after a delay that doubles with each Retry since the last Forget.
func (q *Queue[K]) Retry(k K) {
	q.mu.Lock()
	n := q.fails[k]
	q.fails[k] = n + 1
	q.mu.Unlock()
	d := RetryLast
	if n < 16 {
		d = min(RetryFirst<<n, RetryLast)
	}
	q.AddAfter(k, d)
}

// Forget makes the next Retry of k a first one.
func (q *Queue[K]) Forget(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.fails, k)
}

// arm sets the one timer to the earliest delay.
func (q *Queue[K]) arm() {
	if len(q.delayed) == 0 {
		return
	}
	d := time.Until(q.delayed[0].at)
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.fire)
		return
	}
	q.timer.Reset(d)
}

func (q *Queue[K]) fire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for len(q.delayed) > 0 && !q.delayed[0].at.After(now) {
		d := heap.Pop(&q.delayed).(*delay[K])
		q.due.Delete(d.key)
		q.add(d.key)
	}
	q.arm()
}

// Get waits for a key. It must be given back with Done. ok is false when ctx or the queue ended.
func (q *Queue[K]) Get(ctx context.Context) (k K, ok bool) {
	for {
		if k, ok := q.take(); ok {
			return k, true
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return k, false
		case <-q.closed:
			return k, false
		}
	}
}

func (q *Queue[K]) take() (k K, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.isClosed() {
		return k, false
	}
	k = q.waiting[0]
	q.waiting = q.waiting[1:]
	q.queued.Delete(k)
	q.working[k] = true
	if len(q.waiting) > 0 {
		q.signal()
	}
	return k, true
}

// Done ends the work on k that Get began.
func (q *Queue[K]) Done(k K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.working, k)
	if _, again := q.queued.Get(k); again {
		q.waiting = append(q.waiting, k)
		q.signal()
	}
}

// Len is the number of keys waiting for a worker now.
func (q *Queue[K]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Close ends all Gets, now and later, and drops what waits.
func (q *Queue[K]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isClosed() {
		return
	}
	close(q.closed)
	if q.timer != nil {
		q.timer.Stop()
	}
}

func (q *Queue[K]) isClosed() bool {
	select {
	case <-q.closed:
		return true
	default:
		return false
	}
}

type delay[K comparable] struct {
	key   K
	at    time.Time
	index int
}

type delays[K comparable] []*delay[K]

func (d delays[K]) Len() int           { return len(d) }
func (d delays[K]) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d delays[K]) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}
func (d *delays[K]) Push(x any) {
	e := x.(*delay[K])
	e.index = len(*d)
	*d = append(*d, e)
}
func (d *delays[K]) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return e
}
