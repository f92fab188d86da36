package client

import (
	"context"
	"slices"
	"sync"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/x/run"
)

// kindWatch is somebody who wants a view of every kind of some sort.
type kindWatch struct {
	want func(*api.Kind) bool
	take func(*View) (gone func())
}

// EachKind gives take a view of every kind that want wants, of those there are and, while the caches run, of those that come.
// take subscribes to the view; what it returns, if anything, is called when the kind has gone, after the view has told
// that all its objects have. Call before Run.
func (c *Caches) EachKind(want func(*api.Kind) bool, take func(*View) (gone func())) {
	c.mu.Lock()
	first := len(c.kinds) == 0
	c.kinds = append(c.kinds, kindWatch{want, take})
	c.mu.Unlock()
	if first {
		c.conn.Registry().OnChange(c.later.add)
	}
	for _, k := range c.conn.Registry().Kinds() {
		if k.Custom == nil && want(k) {
			take(c.View(k))
		}
	}
}

// kindChanges are kinds that came and went, until somebody has looked.
type kindChanges struct {
	mu   sync.Mutex
	list []kindChange
	wake chan struct{}
}

type kindChange struct{ old, kind *api.Kind }

func (l *kindChanges) add(old, k *api.Kind) {
	l.mu.Lock()
	l.list = append(l.list, kindChange{old, k})
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *kindChanges) take() []kindChange {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.list
	l.list = nil
	return out
}

// following is the running view of a custom kind.
type following struct {
	stop func()
	gone []func()
}

// followKinds runs the views of custom kinds as long as there are these kinds.
func (c *Caches) followKinds(ctx context.Context) error {
	g := run.New(ctx)
	at := map[*api.Kind]*following{} // by root
	for _, k := range c.conn.Registry().Kinds() {
		c.follow(g, at, nil, k)
	}
	close(c.custom)
	for {
		for _, ch := range c.later.take() {
			c.follow(g, at, ch.old, ch.kind)
		}
		select {
		case <-c.later.wake:
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

func (c *Caches) follow(g *run.Group, at map[*api.Kind]*following, old, k *api.Kind) {
	switch {
	case k == nil:
		if f := at[old.Root()]; f != nil {
			f.stop()
			delete(at, old.Root())
		}
	case k.Custom != nil && at[k.Root()] == nil:
		if f := c.newView(g, k); f != nil {
			at[k.Root()] = f
		}
	}
}

// newView runs a view of its own for a kind that somebody wants.
func (c *Caches) newView(g *run.Group, k *api.Kind) *following {
	c.mu.Lock()
	watches := slices.Clone(c.kinds)
	c.mu.Unlock()
	f := &following{}
	key := viewKey{kind: k.Root()}
	var v *View
	for _, w := range watches {
		if !w.want(k) {
			continue
		}
		if v == nil {
			v = newView(c.conn, key, c.log, c.guard)
		}
		if gone := w.take(v); gone != nil {
			f.gone = append(f.gone, gone)
		}
	}
	if v == nil {
		return nil
	}
	ctx, stop := context.WithCancel(g.Context())
	f.stop = stop
	c.mu.Lock()
	c.views[key] = v
	c.mu.Unlock()
	g.Go("cache of "+k.Resource, func(context.Context) error {
		err := v.run(ctx)
		if g.Context().Err() == nil {
			c.mu.Lock()
			delete(c.views, key)
			c.mu.Unlock()
			v.clear()
			for _, gone := range f.gone {
				gone()
			}
		}
		return err
	})
	return f
}

// clear tells that everything has gone.
func (v *View) clear() {
	for k := range v.keys() {
		v.drop(k.Namespace, k.Name)
	}
	v.seen()
}
