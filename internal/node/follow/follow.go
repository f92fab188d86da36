// Package follow keeps a small live view of some objects of one kind: those of
// one selector, or one single object.
//
// A node may read only what its own pods name (node authorizer), so a cache of
// all Secrets is out of the question; a Follower watches exactly as much as it
// was told. It lists once, then only watches.
package follow

import (
	"context"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

// Options say what to follow.
type Options struct {
	Kind      *api.Kind
	Namespace string
	Fields    string // "spec.nodeName=n1"
	// Changed is called for each change, one at a time: old is nil for a new object, new for one that is gone.
	Changed func(old, new api.Object)
}

// Follower is one live view. Use New and Run.
type Follower struct {
	conn   client.Conn
	o      Options
	log    *slog.Logger
	synced chan struct{}
	once   sync.Once

	mu   sync.RWMutex
	objs map[string]api.Object
}

// New makes a Follower.
func New(conn client.Conn, log *slog.Logger, o Options) *Follower {
	return &Follower{conn: conn, o: o, log: log, synced: make(chan struct{}), objs: map[string]api.Object{}}
}

func key(ns, name string) string { return ns + "/" + name }

// Get finds an object.
func (f *Follower) Get(ns, name string) (api.Object, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	o, ok := f.objs[key(ns, name)]
	return o, ok
}

// All visits every object.
func (f *Follower) All(visit func(api.Object)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, o := range f.objs {
		visit(o)
	}
}

// Synced is closed when everything that existed at first is there.
func (f *Follower) Synced() <-chan struct{} { return f.synced }

// Waits between attempts while the API is away.
const (
	firstWait = 50 * time.Millisecond
	mostWait  = 10 * time.Second
)

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	wait := firstWait
	for ctx.Err() == nil {
		began := time.Now()
		err := f.watch(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > mostWait {
			wait = firstWait
		}
		if err != nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			f.log.Warn("watch ended, trying again", "resource", f.o.Kind.Resource, "fields", f.o.Fields, "error", err, "in", wait)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
		case <-t.C:
		}
		wait = min(2*wait, mostWait)
	}
	return nil
}

// watch asks for everything, then for changes, until the watch breaks.
func (f *Follower) watch(ctx context.Context) error {
	yes := true
	w, err := f.conn.Watch(ctx, f.o.Kind, f.o.Namespace, metav1.ListOptions{
		FieldSelector: f.o.Fields, SendInitialEvents: &yes, AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return err
	}
	defer w.Close()
	initial := map[string]bool{}
	for {
		evs, err := w.Next()
		if err != nil {
			return err
		}
		for _, ev := range evs {
			switch {
			case ev.Type == client.Bookmark:
				if initial != nil && ev.Object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
					f.forgetOthers(initial)
					initial = nil
					f.once.Do(func() { close(f.synced) })
				}
			case ev.Type == client.Deleted:
				f.set(ev.Object, nil)
			default:
				if initial != nil {
					initial[key(ev.Object.GetNamespace(), ev.Object.GetName())] = true
				}
				f.set(ev.Object, ev.Object)
			}
		}
	}
}

// set stores now (nil: gone) and tells.
func (f *Follower) set(id, now api.Object) {
	k := key(id.GetNamespace(), id.GetName())
	f.mu.Lock()
	old := f.objs[k]
	if now == nil {
		delete(f.objs, k)
	} else {
		f.objs[k] = now
	}
	f.mu.Unlock()
	if f.o.Changed == nil || old == nil && now == nil {
		return
	}
	if old != nil && now != nil && old.GetUID() != now.GetUID() { // deleted and made anew while we were not looking
		f.o.Changed(old, nil)
		old = nil
	}
	if old != nil && now != nil && old.GetResourceVersion() == now.GetResourceVersion() {
		return
	}
	f.o.Changed(old, now)
}

// forgetOthers drops what was deleted while the watch was broken.
func (f *Follower) forgetOthers(seen map[string]bool) {
	f.mu.RLock()
	var lost []api.Object
	for k, o := range f.objs {
		if !seen[k] {
			lost = append(lost, o)
		}
	}
	f.mu.RUnlock()
	for _, o := range lost {
		f.set(o, nil)
	}
}
