package cache

import (
	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Entry returns the current entry.
func (c *Cache) Entry(k *api.Kind, namespace, name string) (*Entry, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kc := c.of(k)
	if kc == nil {
		return nil, false
	}
	return kc.tree.Get(&Entry{Key: ObjectKey(namespace, name)})
}

// Get implements request.Reader.
func (c *Cache) Get(k *api.Kind, namespace, name string) (api.Object, bool) {
	e, ok := c.Entry(k, namespace, name)
	if !ok {
		return nil, false
	}
	return e.Obj, true
}

// Each implements request.Reader.
func (c *Cache) Each(k *api.Kind, namespace string, f func(api.Object) bool) {
	t, _ := c.Snapshot(k)
	Range(t, namespace, "", func(e *Entry) bool { return f(e.Obj) })
}

// OnChange implements request.Reader.
func (c *Cache) OnChange(k *api.Kind, f func(old, obj api.Object)) {
	kc := c.of(k)
	kc.hooks = append(kc.hooks, f)
}

// Snapshot is the current state of a kind and the revision it is exact at.
func (c *Cache) Snapshot(k *api.Kind) (*Tree, int64) {
	c.mu.RLock()
	kc := c.of(k)
	if kc == nil {
		c.mu.RUnlock()
		return newTree(), 0
	}
	snap, rev := kc.snap, c.revision
	c.mu.RUnlock()
	if snap != nil {
		return snap, rev
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return kc.snapshot(), c.revision
}

func (k *kindCache) snapshot() *Tree {
	if k.snap == nil {
		k.snap = k.tree.Copy()
	}
	return k.snap
}

// SnapshotAt is the state of a kind at a published revision; Gone when that is too long ago.
func (c *Cache) SnapshotAt(k *api.Kind, revision int64) (*Tree, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kc := c.of(k)
	if kc == nil {
		return newTree(), nil
	}
	if revision != c.revision && (revision < kc.floor || revision < c.olderThan(memory)) {
		return nil, fault.New(fault.Gone, "revision %d of %s is no longer remembered", revision, kc.kind.Resource)
	}
	if kc.after(revision) == len(kc.ring) {
		return kc.snapshot(), nil
	}
	return kc.at(revision), nil
}
