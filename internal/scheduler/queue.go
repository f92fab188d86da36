package scheduler

import (
	"container/heap"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// Back-off of a pod that found no node, doubled with every attempt.
const (
	firstBackoff = time.Second
	maxBackoff   = 10 * time.Second
)

// item is one pod that has no node.
type item struct {
	pod      *cluster.Pod
	added    time.Time
	attempts int
	ready    time.Time // not before
	target   string    // node decided on
	parked   bool      // found no node: waits for a change of the cluster
	claims   bool      // parked until something about volumes changes: nothing else helps
	said     string    // why it can go nowhere, as reported last
	index    int       // in the heap, -1 when parked
}

// queue orders pods that wait: by priority, then by age. It belongs to one goroutine.
type queue struct {
	heap  readyHeap
	items map[types.UID]*item
}

func newQueue() *queue { return &queue{items: map[types.UID]*item{}} }

// set adds a pod or replaces what is known of it. A change gives a parked pod another chance.
func (q *queue) set(p *cluster.Pod, now time.Time) {
	it := q.items[p.Object.UID]
	if it == nil {
		it = &item{added: now, index: -1}
		q.items[p.Object.UID] = it
	}
	it.pod = p
	if it.index >= 0 {
		heap.Fix(&q.heap, it.index)
	} else {
		q.activate(it)
	}
}

func (q *queue) activate(it *item) {
	it.parked, it.claims = false, false
	heap.Push(&q.heap, it)
}

func (q *queue) remove(uid types.UID) {
	it := q.items[uid]
	if it == nil {
		return
	}
	delete(q.items, uid)
	if it.index >= 0 {
		heap.Remove(&q.heap, it.index)
	}
}

// pop takes the next pod whose back-off is over. wait is how long until there is one, negative for never.
func (q *queue) pop(now time.Time) (it *item, wait time.Duration) {
	wait = -1
	var later []*item
	for len(q.heap) > 0 {
		next := heap.Pop(&q.heap).(*item)
		if left := next.ready.Sub(now); left > 0 {
			later = append(later, next)
			if wait < 0 || left < wait {
				wait = left
			}
			continue
		}
		it = next
		break
	}
	for _, l := range later {
		heap.Push(&q.heap, l)
	}
	if it != nil {
		delete(q.items, it.pod.Object.UID)
	}
	return it, wait
}

// park puts back a pod that found no node.
func (q *queue) park(it *item, now time.Time) {
	q.again(it, now)
	heap.Remove(&q.heap, it.index)
	it.parked = true
}

// again puts back a pod to be tried after its back-off.
func (q *queue) again(it *item, now time.Time) {
	it.ready = now.Add(min(maxBackoff, firstBackoff<<min(it.attempts, 10)))
	it.attempts++
	q.items[it.pod.Object.UID] = it
	heap.Push(&q.heap, it)
}

// unpark gives every parked pod another chance: something in the cluster changed.
func (q *queue) unpark() {
	for _, it := range q.items {
		if it.parked && !it.claims {
			q.activate(it)
		}
	}
}

// unparkClaims gives those with claims another chance: something about volumes changed.
func (q *queue) unparkClaims() {
	for _, it := range q.items {
		if it.parked && len(it.pod.Claims) > 0 {
			q.activate(it)
		}
	}
}

type readyHeap []*item

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(i, j int) bool {
	if a, b := h[i].pod.Priority, h[j].pod.Priority; a != b {
		return a > b
	}
	return h[i].added.Before(h[j].added)
}
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *readyHeap) Push(x any) {
	it := x.(*item)
	it.index = len(*h)
	*h = append(*h, it)
}
func (h *readyHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	it.index = -1
	*h = old[:len(old)-1]
	return it
}
