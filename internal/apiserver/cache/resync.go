package cache

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/dhow-project/dhow/internal/store"
)

// resync catches up without the store's history: it compares everything with what is known and
// publishes the difference as if it had been told.
func (c *Cache) resync(ctx context.Context) error {
	entries, rev, err := c.store.List(ctx, Root)
	if err != nil {
		return fmt.Errorf("read all objects again: %w", err)
	}
	return c.apply(c.missed(entries, rev), rev)
}

// missed is the shortest history that leads from the cache's state to entries at rev.
func (c *Cache) missed(entries []store.Entry, rev int64) []store.Event {
	var out []store.Event
	there := make(map[string]bool, len(entries))
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, e := range entries {
		there[e.Key] = true
		kc, key := c.byKey(e.Key)
		if kc == nil {
			continue
		}
		if have, ok := kc.tree.Get(&Entry{Key: key}); !ok || have.Revision != e.Revision {
			out = append(out, store.Event{Type: store.Put, Entry: e})
		}
	}
	slices.SortFunc(out, func(a, b store.Event) int { return cmp.Compare(a.Entry.Revision, b.Entry.Revision) })
	for _, kc := range c.index.Load().kinds {
		kc.tree.Scan(func(e *Entry) bool {
			if k := kc.prefix + e.Key; !there[k] {
				out = append(out, store.Event{Type: store.Delete, Entry: store.Entry{Key: k, Revision: rev}})
			}
			return true
		})
	}
	return out
}
