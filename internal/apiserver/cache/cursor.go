package cache

import (
	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Cursor is a watcher's place in a kind's history. It has no buffer: a slow
// watcher is one whose place is no longer remembered.
type Cursor struct {
	c         *Cache
	kc        *kindCache
	namespace string
	after     int64
	ended     bool
	wake      chan struct{}
}

// Watch makes a cursor after revision; Gone when that is too long ago. namespace only spares wake-ups.
func (c *Cache) Watch(k *api.Kind, namespace string, revision int64) (*Cursor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kc := c.of(k)
	if kc == nil {
		return nil, ErrEnded
	}
	if revision < kc.floor && revision < c.revision {
		return nil, fault.New(fault.Gone, "too old resource version: %d (%d)", revision, kc.floor+1)
	}
	return c.add(kc, namespace, revision), nil
}

// WatchNow makes a cursor from now on and the snapshot it follows.
func (c *Cache) WatchNow(k *api.Kind, namespace string) (*Cursor, *Tree, int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kc := c.of(k)
	if kc == nil {
		return nil, nil, 0, ErrEnded
	}
	return c.add(kc, namespace, max(c.revision, kc.since)), kc.snapshot(), max(c.revision, kc.since), nil
}

func (c *Cache) add(kc *kindCache, namespace string, revision int64) *Cursor {
	cur := &Cursor{c: c, kc: kc, namespace: namespace, after: revision, wake: make(chan struct{}, 1)}
	kc.cursors[cur] = struct{}{}
	return cur
}

// Close forgets the cursor.
func (cur *Cursor) Close() {
	cur.c.mu.Lock()
	defer cur.c.mu.Unlock()
	delete(cur.kc.cursors, cur)
}

// Wake is ready when there may be something new.
func (cur *Cursor) Wake() <-chan struct{} { return cur.wake }

// Take returns all events since the last call, perhaps none, and the revision up to which there are no others. Gone: too slow.
func (cur *Cursor) Take() ([]*Event, int64, error) {
	cur.c.mu.RLock()
	defer cur.c.mu.RUnlock()
	kc := cur.kc
	if cur.ended {
		return nil, 0, ErrEnded
	}
	i := kc.after(cur.after)
	if i == 0 && cur.after < kc.floor {
		return nil, 0, fault.New(fault.Gone, "too old resource version: %d (%d)", cur.after, kc.floor+1)
	}
	cur.after = max(cur.after, cur.c.revision)
	if i == len(kc.ring) {
		return nil, cur.after, nil
	}
	return append([]*Event(nil), kc.ring[i:]...), cur.after, nil
}

func (c *Cache) wake(kc *kindCache, ev *Event) {
	ns := ev.Entry.Obj.GetNamespace()
	c.mu.RLock()
	defer c.mu.RUnlock()
	for cur := range kc.cursors {
		if cur.namespace != "" && cur.namespace != ns {
			continue
		}
		select {
		case cur.wake <- struct{}{}:
		default:
		}
	}
}
