package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// ErrEnded is what a watch gets whose kind has changed or gone. If it changed, watching goes on with a new one.
var ErrEnded = errors.New("the kind that is watched has changed")

// index says which kinds there are. It is replaced, never changed.
type index struct {
	kinds    map[*api.Kind]*kindCache // by root
	prefixes map[string]*kindCache
}

func (x *index) add(kc *kindCache) {
	x.kinds[kc.kind.Root()] = kc
	x.prefixes[kc.prefix[len(Root):len(kc.prefix)-1]] = kc
}

// of finds the cache of a kind, or of one that has since changed; nil when there is none.
func (c *Cache) of(k *api.Kind) *kindCache { return c.index.Load().kinds[k.Root()] }

// Put makes the cache hold the objects of a custom kind, which may be new or take the place of one with the same root.
// Watches of the latter end.
func (c *Cache) Put(ctx context.Context, k *api.Kind) error {
	rev, err := c.put(ctx, k)
	if err != nil {
		return fmt.Errorf("read %s: %w", k.GroupResource(), err)
	}
	return c.Wait(ctx, rev)
}

func (c *Cache) put(ctx context.Context, k *api.Kind) (int64, error) {
	c.applying.Lock()
	defer c.applying.Unlock()
	entries, rev, err := c.store.List(ctx, Prefix(k))
	if err != nil {
		return 0, err
	}
	kc := newKindCache(k)
	kc.floor, kc.since = rev, rev
	x := c.copyIndex()
	x.add(kc)
	old := c.of(k)
	for _, e := range entries {
		obj, err := c.load(k, e.Key, e.Value)
		if err != nil {
			c.unreadable(e.Key, err)
			continue
		}
		entry := NewEntry(k, e.Key[len(kc.prefix):], obj, e.Revision)
		entry.size = len(e.Value)
		kc.tree.Set(entry)
	}
	c.index.Store(x)
	c.end(old)
	return rev, nil
}

// Remove forgets a custom kind.
func (c *Cache) Remove(k *api.Kind) {
	c.applying.Lock()
	defer c.applying.Unlock()
	old := c.of(k)
	if old == nil {
		return
	}
	x := c.copyIndex()
	delete(x.kinds, k.Root())
	delete(x.prefixes, old.prefix[len(Root):len(old.prefix)-1])
	c.index.Store(x)
	c.end(old)
}

func (c *Cache) copyIndex() *index {
	x := c.index.Load()
	return &index{maps.Clone(x.kinds), maps.Clone(x.prefixes)}
}

// end lets the watches of a kind find out that they are over.
func (c *Cache) end(kc *kindCache) {
	if kc == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for cur := range kc.cursors {
		cur.ended = true
		select {
		case cur.wake <- struct{}{}:
		default:
		}
	}
}

// unreadable tells of an object that cannot be read. One of a custom kind is passed over: somebody may have written what
// was never checked, and the rest must go on.
func (c *Cache) unreadable(key string, err error) bool {
	if kc, _ := c.byKey(key); kc != nil && kc.kind.Custom == nil {
		return false
	}
	c.log.Error("read a custom resource", "key", key, "err", err)
	return true
}

// converted is a custom object in another version than it was stored in.
type converted struct {
	obj  api.Object
	once sync.Once
	body []byte
	err  error
}

// In is the object in a version; it is shared. Custom objects are cached as they were stored, and converted once.
func (e *Entry) In(v api.Version) (api.Object, error) {
	if v.FromHub == nil {
		return e.Obj, nil
	}
	if e.kind.Custom == nil {
		obj, err := codec.InVersion(v, e.Obj)
		if err != nil {
			return nil, err
		}
		return obj.(api.Object), nil
	}
	if e.isIn(v) {
		return e.Obj, nil
	}
	c, err := e.converted(v)
	if err != nil {
		return nil, err
	}
	return c.obj, nil
}

func (e *Entry) isIn(v api.Version) bool {
	return e.Obj.GetObjectKind().GroupVersionKind().Version == v.Version
}

func (e *Entry) converted(v api.Version) (*converted, error) {
	if c, ok := e.memo().Load(v.Version); ok {
		return c.(*converted), nil
	}
	obj, err := v.FromHub(e.Obj)
	if err != nil {
		return nil, err
	}
	return e.keep(v, obj), nil
}

func (e *Entry) keep(v api.Version, obj api.Object) *converted {
	c, _ := e.memo().LoadOrStore(v.Version, &converted{obj: obj})
	return c.(*converted)
}

func (e *Entry) customBody(v api.Version, f codec.Format) ([]byte, error) {
	if e.isIn(v) {
		return e.hubBody(f)
	}
	c, err := e.converted(v)
	if err != nil {
		return nil, err
	}
	if f != codec.JSON {
		return codec.Body(f, c.obj)
	}
	c.once.Do(func() { c.body, c.err = codec.Body(f, c.obj) })
	return c.body, c.err
}

// Convert converts entries to k.Versions[version] together where that saves time; In and Body then find them done.
func Convert(ctx context.Context, k *api.Kind, version int, entries []*Entry) error {
	if k.Custom == nil || !k.Custom.ByWebhook {
		return nil
	}
	v := k.Versions[version]
	var todo []*Entry
	var objs []api.Object
	for _, e := range entries {
		if _, done := e.memo().Load(v.Version); !done && !e.isIn(v) {
			todo, objs = append(todo, e), append(objs, e.Obj)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	out, err := k.Custom.ConvertAll(ctx, objs, version)
	if err != nil {
		return err
	}
	for i, e := range todo {
		e.keep(v, out[i])
	}
	return nil
}
