// Package disk keeps a store in one bbolt file: the latest value of every key,
// one writer with group commit, history in memory.
//
// It must not know what values mean. Read record.go for the format, commit.go
// for how a write becomes durable, compact.go and rest.go for what bounds the file.
package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/history"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Store is a store.Store in a file. Use Open.
type Store struct {
	path string
	log  *slog.Logger

	mu sync.RWMutex // held for writing only while compaction swaps db
	db *bolt.DB

	revision atomic.Int64 // acknowledged
	live     int64        // bytes of keys and records; writer only
	pace     pace         // writer only
	idle     idle         // writer only
	history  *history.Log

	queue    chan *write
	closing  chan struct{} // no new writes
	done     chan struct{} // the writer has ended
	closed   sync.Once
	closeErr error
}

var _ store.Store = (*Store)(nil)

// Open opens or creates the store at path (mode 0600). A file that is not a dhow store, is of another
// version or is damaged is refused and left as it is: Invalid. A file that another process holds: Unavailable.
func Open(path string, log *slog.Logger) (*Store, error) {
	if err := inspect(path); err != nil {
		return nil, err
	}
	live, err := verify(path)
	if err != nil {
		return nil, err
	}
	db, err := open(path, options())
	if err != nil {
		return nil, err
	}
	var revision int64
	if err := db.View(func(tx *bolt.Tx) error { revision = readRevision(tx); return nil }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{
		path: path, log: log, db: db, live: live,
		history: history.New(revision),
		queue:   make(chan *write, 4096),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		idle:    newIdle(),
	}
	s.revision.Store(revision)
	go s.writer()
	return s, nil
}

// Revision is store.Store's.
func (s *Store) Revision() int64 { return s.revision.Load() }

// Get is store.Store's.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	var e store.Entry
	err := s.view(func(tx *bolt.Tx) error {
		raw := tx.Bucket(entries).Get([]byte(key))
		if raw == nil {
			return notFound(key)
		}
		var err error
		e, err = decode(key, raw)
		return err
	})
	return e, err
}

// List is store.Store's.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, int64, error) {
	var (
		out      []store.Entry
		revision int64
	)
	err := s.view(func(tx *bolt.Tx) error {
		revision = readRevision(tx)
		c := tx.Bucket(entries).Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, v = c.Next() {
			e, err := decode(string(k), v)
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return ctx.Err()
	})
	return out, revision, err
}

func (s *Store) view(f func(*bolt.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err := s.db.View(f)
	if errors.Is(err, bolt.ErrDatabaseNotOpen) {
		return store.Closed()
	}
	return err
}

// Create is store.Store's.
func (s *Store) Create(ctx context.Context, key string, value []byte) (store.Entry, error) {
	return s.submit(ctx, &write{op: create, key: key, value: value})
}

// Update is store.Store's.
func (s *Store) Update(ctx context.Context, key string, value []byte, revision int64) (store.Entry, error) {
	return s.submit(ctx, &write{op: update, key: key, value: value, expect: revision})
}

// Delete is store.Store's.
func (s *Store) Delete(ctx context.Context, key string, revision int64) (store.Entry, error) {
	return s.submit(ctx, &write{op: remove, key: key, expect: revision})
}

// Watch is store.Store's.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) (store.Watch, error) {
	return s.history.Watch(ctx, prefix, after)
}

// Close is store.Store's.
func (s *Store) Close() error {
	s.closed.Do(func() {
		close(s.closing)
		<-s.done
		s.history.Close(store.Closed())
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}

// Backup writes a consistent copy of the file to path while the store is in use.
func (s *Store) Backup(path string) error {
	return s.view(func(tx *bolt.Tx) error { return tx.CopyFile(path, 0o600) })
}

func notFound(key string) error { return fault.New(fault.NotFound, "key %q does not exist", key) }

// inspect refuses what must not be touched before bbolt gets to see it, and makes what is not there.
func inspect(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := initialize(path); err != nil {
			return fmt.Errorf("create store %s: %w", path, err)
		}
		return nil
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fault.New(fault.Invalid, "%s is no regular file: move it away or choose another data directory", path)
	case fi.Size() == 0:
		return fault.New(fault.Invalid, "%s is empty, a store never is: restore it from a backup, or remove it to start anew", path)
	}
	return nil
}
