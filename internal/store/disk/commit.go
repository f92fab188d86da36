package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

type op uint8

const (
	create op = iota
	update
	remove
)

// write is one caller waiting for its answer.
type write struct {
	op     op
	key    string
	value  []byte
	expect int64

	entry store.Entry
	err   error
	ready chan struct{}
}

// maxBatch bounds one transaction, so that the first caller in it does not wait for too many others.
const maxBatch = 1024

// submit hands a write to the writer and waits. Once it is queued it will be carried out: the
// context is looked at before only, because an answer must say what really happened.
func (s *Store) submit(ctx context.Context, w *write) (store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return store.Entry{}, err
	}
	if w.key == "" || len(w.key) > bolt.MaxKeySize {
		return store.Entry{}, fault.New(fault.Invalid, "a key has 1 to %d bytes, this one %d", bolt.MaxKeySize, len(w.key))
	}
	w.ready = make(chan struct{})
	select {
	case <-s.closing:
		return store.Entry{}, store.Closed()
	default:
	}
	select {
	case s.queue <- w:
	case <-s.closing:
		return store.Entry{}, store.Closed()
	}
	select {
	case <-w.ready:
	case <-s.done: // the writer may have answered just before it ended
		select {
		case <-w.ready:
		default:
			return store.Entry{}, store.Closed()
		}
	}
	return w.entry, w.err
}

// writer is the only one that changes the file: it takes all writes that wait, makes one
// transaction of them, and answers them when it is on disk.
func (s *Store) writer() {
	defer close(s.done)
	defer s.idle.timer.Stop()
	batch := make([]*write, 0, maxBatch)
	for {
		select {
		case w := <-s.queue:
			batch = s.gather(append(batch[:0], w))
		case <-s.closing:
			if batch = s.gather(batch[:0]); len(batch) == 0 {
				return
			}
		case <-s.idle.timer.C:
			s.rest()
			continue
		}
		s.commit(batch)
		clear(batch)
		s.maybeCompact()
	}
}

func (s *Store) gather(batch []*write) []*write {
	for len(batch) < maxBatch {
		select {
		case w := <-s.queue:
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commit decides each write against the state the earlier ones of its batch leave, and acknowledges
// them together.
func (s *Store) commit(batch []*write) {
	revision, live := s.revision.Load(), s.live
	events, written := make([]store.Event, 0, len(batch)), 0
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(entries)
		for _, w := range batch {
			event, grown, err := w.apply(b, revision+1)
			if err != nil {
				return err
			}
			if w.err != nil {
				continue
			}
			revision++
			live += grown
			written += len(w.value)
			events = append(events, event)
		}
		if len(events) == 0 {
			return errNothing
		}
		return writeRevision(tx, revision)
	})
	if err == nil {
		s.live = live
		s.revision.Store(revision)
		s.history.Append(events...)
		s.idle.touch(written)
	} else if !errors.Is(err, errNothing) {
		err = classify(err)
		for _, w := range batch {
			w.entry, w.err = store.Entry{}, err
		}
	}
	for _, w := range batch {
		close(w.ready)
	}
}

// errNothing rolls a transaction back in which every write was refused.
var errNothing = errors.New("nothing to write")

// apply carries out one write inside a transaction. A refusal goes to w.err; an error
// returned is the file's and fails the whole batch.
func (w *write) apply(b *bolt.Bucket, revision int64) (event store.Event, grown int64, err error) {
	old := b.Get([]byte(w.key))
	if w.err = w.check(old); w.err != nil {
		return event, 0, nil
	}
	var previous store.Entry
	if old != nil {
		if previous, err = decode(w.key, old); err != nil {
			return event, 0, err
		}
		grown -= int64(len(w.key) + len(old))
	}
	if w.op == remove {
		w.entry = previous
		w.entry.Revision = revision
		gone := w.entry
		gone.Value = nil
		return store.Event{Type: store.Delete, Entry: gone, Previous: previous.Value}, grown, b.Delete([]byte(w.key))
	}
	w.entry = store.Entry{Key: w.key, Value: w.value, Revision: revision, Created: revision}
	if old != nil {
		w.entry.Created = previous.Created
	}
	record := encode(w.entry)
	grown += int64(len(w.key) + len(record))
	return store.Event{Type: store.Put, Entry: w.entry, Previous: previous.Value}, grown, b.Put([]byte(w.key), record)
}

func (w *write) check(old []byte) error {
	switch {
	case w.op == create && old != nil:
		return fault.New(fault.Exists, "key %q exists already", w.key)
	case w.op == create:
		return nil
	case old == nil:
		return notFound(w.key)
	case w.op == remove && w.expect == 0:
		return nil
	}
	if len(old) < header {
		return fmt.Errorf("entry %q is damaged", w.key)
	}
	if have := int64(binary.BigEndian.Uint64(old[4:])); have != w.expect {
		return fault.New(fault.Conflict, "key %q is at revision %d, not %d", w.key, have, w.expect)
	}
	return nil
}

func classify(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.New(fault.Exhausted, "write to the store: %w: free some space on its disk and try again", err)
	}
	return fmt.Errorf("write to the store: %w", err)
}
