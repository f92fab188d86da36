package apiserver

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
)

// expiry deletes events when they are old: a heap of deadlines and one timer.
type expiry struct {
	s    *Server
	kind *api.Kind
	mu   sync.Mutex
	due  deadlines
	wake chan struct{}
}

type deadline struct {
	at              time.Time
	namespace, name string
	revision        string // of the object; another one has a deadline of its own
}

type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = old[:len(old)-1]
	return last
}

func newExpiry(s *Server) *expiry {
	x := &expiry{s: s, kind: s.Registry.Resource(schema.GroupResource{Resource: "events"}), wake: make(chan struct{}, 1)}
	if x.kind != nil {
		s.cache.OnChange(x.kind, x.note)
	}
	return x
}

// note sets the deadline of a written event. Each write starts the hour again, as upstream's leases do;
// what was there at the start counts from its creation.
func (x *expiry) note(_, obj api.Object) {
	if obj == nil {
		return
	}
	from := x.s.Now()
	if x.s.cache.Published() == 0 {
		from = obj.GetCreationTimestamp().Time
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	heap.Push(&x.due, deadline{from.Add(x.s.EventTTL), obj.GetNamespace(), obj.GetName(), obj.GetResourceVersion()})
	if x.due[0].revision == obj.GetResourceVersion() {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

func (x *expiry) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		x.mu.Lock()
		wait := time.Duration(-1)
		if len(x.due) > 0 {
			wait = max(0, x.due[0].at.Sub(x.s.Now()))
		}
		x.mu.Unlock()
		if wait >= 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-x.wake:
		case <-timer.C:
			x.sweep(ctx)
		}
	}
}

// sweep deletes everything that is due.
func (x *expiry) sweep(ctx context.Context) {
	now := x.s.Now()
	for {
		x.mu.Lock()
		if len(x.due) == 0 || x.due[0].at.After(now) {
			x.mu.Unlock()
			return
		}
		d := heap.Pop(&x.due).(deadline)
		x.mu.Unlock()
		e, ok := x.s.cache.Entry(x.kind, d.namespace, d.name)
		if !ok || e.Obj.GetResourceVersion() != d.revision {
			continue
		}
		// A conflict means that it was written again and has a new deadline.
		key := cache.Prefix(x.kind) + e.Key
		if _, err := x.s.Store.Delete(ctx, key, e.Revision); err != nil && ctx.Err() == nil {
			x.s.Log.Debug("delete expired event", "event", e.Key, "err", err)
		}
	}
}
