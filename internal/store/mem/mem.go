// Package mem is a store.Store in memory, for tests and throw-away clusters.
//
// Nothing survives the process. It passes storetest like every other store.
package mem

import (
	"context"
	"strings"
	"sync"

	"github.com/tidwall/btree"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/history"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Store keeps everything in one ordered tree. Use New.
type Store struct {
	mu       sync.RWMutex
	tree     *btree.BTreeG[store.Entry]
	revision int64
	history  *history.Log
	closed   bool
}

// New makes an empty store.
func New() *Store {
	less := func(a, b store.Entry) bool { return a.Key < b.Key }
	return &Store{tree: btree.NewBTreeGOptions(less, btree.Options{NoLocks: true}), history: history.New(0)}
}

// Revision implements store.Store.
func (s *Store) Revision() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.Entry{}, store.Closed()
	}
	e, ok := s.tree.Get(store.Entry{Key: key})
	if !ok {
		return e, fault.New(fault.NotFound, "key %q not found", key)
	}
	return e, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, 0, store.Closed()
	}
	var out []store.Entry
	s.tree.Ascend(store.Entry{Key: prefix}, func(e store.Entry) bool {
		if !strings.HasPrefix(e.Key, prefix) {
			return false
		}
		out = append(out, e)
		return true
	})
	return out, s.revision, nil
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, key string, value []byte) (store.Entry, error) {
	return s.write(key, func(old store.Entry, found bool) (store.Event, error) {
		if found {
			return store.Event{}, fault.New(fault.Exists, "key %q exists", key)
		}
		return store.Event{Type: store.Put, Entry: store.Entry{Key: key, Value: value, Created: s.revision + 1}}, nil
	})
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, key string, value []byte, revision int64) (store.Entry, error) {
	return s.write(key, func(old store.Entry, found bool) (store.Event, error) {
		if err := check(old, found, key, revision); err != nil {
			return store.Event{}, err
		}
		return store.Event{
			Type: store.Put, Previous: old.Value,
			Entry: store.Entry{Key: key, Value: value, Created: old.Created},
		}, nil
	})
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, revision int64) (store.Entry, error) {
	var removed store.Entry
	e, err := s.write(key, func(old store.Entry, found bool) (store.Event, error) {
		if revision == 0 {
			revision = old.Revision
		}
		if err := check(old, found, key, revision); err != nil {
			return store.Event{}, err
		}
		removed = old
		return store.Event{Type: store.Delete, Previous: old.Value, Entry: store.Entry{Key: key, Created: old.Created}}, nil
	})
	removed.Revision = e.Revision
	return removed, err
}

func check(old store.Entry, found bool, key string, revision int64) error {
	switch {
	case !found:
		return fault.New(fault.NotFound, "key %q not found", key)
	case old.Revision != revision:
		return fault.New(fault.Conflict, "key %q is at revision %d, not %d", key, old.Revision, revision)
	}
	return nil
}

// write asks plan what to do about the current value and does it.
func (s *Store) write(key string, plan func(store.Entry, bool) (store.Event, error)) (store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.Entry{}, store.Closed()
	}
	ev, err := plan(s.tree.Get(store.Entry{Key: key}))
	if err != nil {
		return store.Entry{}, err
	}
	s.revision++
	ev.Entry.Revision = s.revision
	if ev.Type == store.Delete {
		s.tree.Delete(ev.Entry)
	} else {
		s.tree.Set(ev.Entry)
	}
	s.history.Append(ev)
	return ev.Entry, nil
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) (store.Watch, error) {
	return s.history.Watch(ctx, prefix, after)
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.tree.Clear()
		s.history.Close(store.Closed())
	}
	return nil
}
