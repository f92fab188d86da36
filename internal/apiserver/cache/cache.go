// Package cache holds the one copy of every object that the server has in
// memory: per kind a copy-on-write tree of immutable entries and a bounded
// history for watches and for lists of the past.
//
// It follows the store's watch, so it is right whoever writes; what this
// server itself writes is taken over decoded. It must not know HTTP or the
// stages of a write. Read this file first, then kind.go and cursor.go.
package cache

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Transform changes values on their way to and from the store (encryption). Any may be nil.
type Transform struct {
	Encode, Decode func(key string, value []byte) ([]byte, error)
}

// Cache is safe for concurrent use. Use New, then Load, then Run.
type Cache struct {
	store     store.Store
	registry  *api.Registry
	transform Transform
	log       *slog.Logger

	applying sync.Mutex // of those who change what there is: the store's watch, and who adds kinds
	index    atomic.Pointer[index]

	started time.Time

	mu       sync.RWMutex
	revision int64 // of the last change applied to the trees
	samples  [samples]sample
	trimming *time.Timer
	stopped  bool

	published atomic.Int64 // revision up to which hooks have run
	waitMu    sync.Mutex
	waiters   []waiter

	pendingMu sync.Mutex
	pending   map[*byte]*Pending
}

// New makes an empty cache; no I/O.
func New(s store.Store, r *api.Registry, t Transform, log *slog.Logger) *Cache {
	c := &Cache{store: s, registry: r, transform: t, log: log, started: time.Now(), pending: map[*byte]*Pending{}}
	x := &index{kinds: map[*api.Kind]*kindCache{}, prefixes: map[string]*kindCache{}}
	for _, k := range r.Kinds() {
		if !k.Virtual {
			x.add(newKindCache(k))
		}
	}
	c.index.Store(x)
	return c
}

// Registry implements request.Reader.
func (c *Cache) Registry() *api.Registry { return c.registry }

// Load reads the whole store. It must return before anything else is asked.
func (c *Cache) Load(ctx context.Context) error {
	entries, rev, err := c.store.List(ctx, Root)
	if err != nil {
		return fmt.Errorf("load objects: %w", err)
	}
	objs := make([]api.Object, len(entries))
	errs := make([]error, len(entries))
	var wg sync.WaitGroup
	const workers = 4
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(entries); i += workers {
				objs[i], errs[i] = c.decode(entries[i])
			}
		})
	}
	wg.Wait()
	for i, e := range entries {
		kc, key := c.byKey(e.Key)
		switch {
		case kc == nil: // of a custom resource; its definition comes first
			continue
		case errs[i] != nil:
			return fmt.Errorf("load %s: %w", e.Key, errs[i])
		}
		entry := NewEntry(kc.kind, key, objs[i], e.Revision)
		entry.size = len(e.Value)
		kc.tree.Set(entry)
	}
	for _, kc := range c.index.Load().kinds {
		kc.floor = rev
		kc.tree.Scan(func(e *Entry) bool { kc.run(nil, e.Obj); return true })
	}
	c.revision = rev
	c.published.Store(rev)
	return nil
}

func (c *Cache) decode(e store.Entry) (api.Object, error) {
	kc, _ := c.byKey(e.Key)
	if kc == nil {
		return nil, nil
	}
	return c.load(kc.kind, e.Key, e.Value)
}

func (c *Cache) load(k *api.Kind, key string, value []byte) (api.Object, error) {
	if c.transform.Decode != nil {
		var err error
		if value, err = c.transform.Decode(key, value); err != nil {
			return nil, err
		}
	}
	obj, err := codec.Load(k, value)
	if err == nil && k.Default != nil && k.Custom == nil {
		k.Default(obj)
	}
	return obj, err
}

// Run follows the store until ctx ends.
func (c *Cache) Run(ctx context.Context) error {
	defer c.stop()
	for {
		err := c.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if fault.Is(err, fault.Gone) {
			c.log.Warn("fell behind the store: reading everything again", "err", err)
			if err = c.resync(ctx); err == nil {
				continue
			}
		}
		if !fault.Is(err, fault.Unavailable) {
			return fmt.Errorf("follow the store: %w", err)
		}
		c.log.Warn("store watch ended", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (c *Cache) follow(ctx context.Context) error {
	w, err := c.store.Watch(ctx, Root, c.published.Load())
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		evs, err := w.Next()
		if err != nil {
			return err
		}
		if err := c.apply(evs, evs[len(evs)-1].Entry.Revision); err != nil {
			return err
		}
	}
}

type change struct {
	kc *kindCache
	ev *Event
}

// apply publishes a batch: trees and history at once, then hooks, then everybody who waits for it.
func (c *Cache) apply(evs []store.Event, last int64) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	objs := make([]api.Object, len(evs))
	pend := make([]*Pending, len(evs))
	for i, ev := range evs {
		if ev.Type == store.Delete {
			continue
		}
		if pend[i] = c.take(ev.Entry.Value); pend[i] != nil {
			objs[i] = pend[i].Obj
			continue
		}
		var err error
		if objs[i], err = c.decode(ev.Entry); err != nil {
			if c.unreadable(ev.Entry.Key, err) {
				continue
			}
			return fmt.Errorf("decode %s: %w", ev.Entry.Key, err)
		}
	}
	changes := make([]change, 0, len(evs))
	now := c.age()
	c.mu.Lock()
	for i, ev := range evs {
		kc, key := c.byKey(ev.Entry.Key)
		if kc == nil || ev.Entry.Revision <= kc.since || objs[i] == nil && ev.Type != store.Delete {
			continue
		}
		if e := kc.apply(key, objs[i], len(ev.Entry.Value), ev.Entry.Revision, now); e != nil {
			if c.trimming == nil && kc.excess() {
				c.trimLater(ringAge)
			}
			changes = append(changes, change{kc, e})
			if pend[i] != nil {
				pend[i].entry = e.Entry
			}
		}
	}
	c.revision = last
	c.sample(last)
	c.mu.Unlock()
	for _, ch := range changes {
		ch.kc.notify(ch.ev)
	}
	c.published.Store(last)
	c.release(last)
	for _, ch := range changes {
		c.wake(ch.kc, ch.ev)
	}
	return nil
}

func (k *kindCache) notify(ev *Event) {
	if len(k.hooks) == 0 {
		return
	}
	switch {
	case ev.Type == Deleted:
		k.run(ev.Old.Obj, nil)
	case ev.Old != nil:
		k.run(ev.Old.Obj, ev.Entry.Obj)
	default:
		k.run(nil, ev.Entry.Obj)
	}
}

func (k *kindCache) run(old, obj api.Object) {
	for _, f := range k.hooks {
		f(old, obj)
	}
}

// Pending is a write of this server that the store has not told about yet.
type Pending struct {
	Obj   api.Object
	entry *Entry
}

// Expect announces that value will be written for obj, so that it is not decoded again.
func (c *Cache) Expect(value []byte, obj api.Object) *Pending {
	p := &Pending{Obj: obj}
	c.pendingMu.Lock()
	c.pending[unsafe.SliceData(value)] = p
	c.pendingMu.Unlock()
	return p
}

// Forget takes an announcement back.
func (c *Cache) Forget(value []byte) { c.take(value) }

func (c *Cache) take(value []byte) *Pending {
	at := unsafe.SliceData(value)
	c.pendingMu.Lock()
	defer c.pendingMu.Unlock()
	p := c.pending[at]
	if p != nil {
		delete(c.pending, at)
	}
	return p
}

// Committed waits until revision is published and returns the entry that p became.
func (c *Cache) Committed(ctx context.Context, k *api.Kind, key string, p *Pending, revision int64) (*Entry, error) {
	if err := c.Wait(ctx, revision); err != nil {
		return nil, err
	}
	if p.entry != nil {
		return p.entry, nil
	}
	return NewEntry(k, key, codec.Shallow(p.Obj), revision), nil
}
