package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Selection narrows a cache. Caches of one kind and the same selections are one and the same.
type Selection func(*selection)

type selection struct{ namespace, fields, labels string }

// Fields keeps what a field selector matches ("spec.nodeName=n1").
func Fields(selector string) Selection { return func(s *selection) { s.fields = selector } }

// Labels keeps what a label selector matches.
func Labels(selector string) Selection { return func(s *selection) { s.labels = selector } }

// Namespace keeps one namespace.
func Namespace(name string) Selection { return func(s *selection) { s.namespace = name } }

type viewKey struct {
	kind *api.Kind
	selection
}

// Caches holds one live view per kind and selection, shared by all parts of a process.
type Caches struct {
	conn  Conn
	log   *slog.Logger
	guard bool

	mu      sync.Mutex
	started bool
	views   map[viewKey]*View
	kinds   []kindWatch
	later   kindChanges
	custom  chan struct{} // closed once the custom kinds there were at the start have views
}

// NewCaches makes an empty set over conn. Ask for views, then Run it.
func NewCaches(conn Conn, log *slog.Logger) *Caches {
	return &Caches{conn: conn, log: log, views: map[viewKey]*View{}, later: kindChanges{wake: make(chan struct{}, 1)}, custom: make(chan struct{})}
}

// Guard makes every view keep a copy of each object, for CheckUnchanged. For tests; call before Run.
func (c *Caches) Guard() { c.guard = true }

// Conn is the connection the views are fed by.
func (c *Caches) Conn() Conn { return c.conn }

// View gives the untyped view of a kind. It panics after Run: by then all parts have said what they watch.
func (c *Caches) View(k *api.Kind, by ...Selection) *View {
	key := viewKey{kind: k.Root()}
	for _, f := range by {
		f(&key.selection)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.views[key]
	if v == nil {
		if c.started {
			panic("client: view of " + k.Resource + " asked for after Run")
		}
		v = newView(c.conn, key, c.log, c.guard)
		c.views[key] = v
	}
	return v
}

// Run keeps all views current until ctx ends. Failing connections are retried with backoff.
func (c *Caches) Run(ctx context.Context) error {
	g := run.New(ctx)
	for _, v := range c.start() {
		g.Go("cache of "+v.key.kind.Resource, v.run)
	}
	g.Go("caches of new kinds", c.followKinds)
	return g.Wait()
}

func (c *Caches) start() []*View {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		panic("client: Caches run twice")
	}
	c.started = true
	return c.all()
}

func (c *Caches) all() []*View {
	var out []*View
	for _, v := range c.views {
		out = append(out, v)
	}
	return out
}

// WaitSynced returns when every view has seen all that existed and told its subscribers.
func (c *Caches) WaitSynced(ctx context.Context) error {
	select {
	case <-c.custom:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	views := c.all()
	c.mu.Unlock()
	for _, v := range views {
		select {
		case <-v.synced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// CheckUnchanged names objects that somebody modified although they are shared. It needs Guard.
func (c *Caches) CheckUnchanged() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, v := range c.all() {
		errs = append(errs, v.checkUnchanged())
	}
	return errors.Join(errs...)
}

// Cache is a live, indexed, read-only view of one type. Use CacheOf. All methods may be called concurrently;
// what they return is shared and must not be changed.
type Cache[T api.Object] struct{ view *View }

// CacheOf gives the cache of T's kind, of all namespaces unless narrowed. Call it before Run.
func CacheOf[T api.Object](c *Caches, by ...Selection) Cache[T] {
	return Cache[T]{c.View(KindOf[T](c.conn.Registry()), by...)}
}

// Index groups objects under the values f returns, for By. Call before Run; the first function under a name stays.
func (c Cache[T]) Index(name string, f func(T) []string) {
	c.view.Index(name, func(o api.Object) []string { return f(o.(T)) })
}

// Subscribe calls f after every change, in order, from one goroutine: old is nil for an addition, obj for a
// deletion. f must not block. Call before Run.
func (c Cache[T]) Subscribe(f func(old, obj T)) {
	c.view.Subscribe(func(old, obj api.Object) {
		a, _ := old.(T)
		b, _ := obj.(T)
		f(a, b)
	})
}

// Get finds one object.
func (c Cache[T]) Get(namespace, name string) (T, bool) {
	o, _ := c.view.Get(namespace, name)
	t, ok := o.(T)
	return t, ok
}

// List is everything, in no order.
func (c Cache[T]) List() []T { return as[T](c.view.List()) }

// In is everything in one namespace, in no order.
func (c Cache[T]) In(namespace string) []T { return as[T](c.view.In(namespace)) }

// By is everything that the index has under value, in no order.
func (c Cache[T]) By(index, value string) []T { return as[T](c.view.By(index, value)) }

// Len is the number of objects.
func (c Cache[T]) Len() int { return c.view.Len() }

// Synced is closed once everything that existed at the start has been seen.
func (c Cache[T]) Synced() <-chan struct{} { return c.view.synced }

func as[T api.Object](in []api.Object) []T {
	out := make([]T, len(in))
	for i, o := range in {
		out[i] = o.(T)
	}
	return out
}

func (s selection) options() metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: s.fields, LabelSelector: s.labels, AllowWatchBookmarks: true}
}
