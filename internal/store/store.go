// Package store keeps bytes under keys with one global revision.
//
// It gives create, update, delete that compare on the revision, consistent
// lists by prefix, and watches that can resume. It must not know what the
// bytes mean. Read this file first; disk and mem are the implementations,
// storetest is the suite that both pass.
package store

import (
	"context"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Entry is one key at one revision. Value must not be modified.
type Entry struct {
	Key   string
	Value []byte
	// Revision is the store revision of the write that made this value.
	Revision int64
	// Created is the revision at which the key came to be; it is equal to
	// Revision for a key that was never updated.
	Created int64
}

// EventType says what a write did to its key.
type EventType uint8

const (
	Put    EventType = iota + 1 // created when Entry.Created == Entry.Revision, else updated
	Delete                      // Entry.Value is nil, Entry.Revision is the deletion's own
)

// Event is one write. Previous is the value before it, nil for a creation.
type Event struct {
	Type     EventType
	Entry    Entry
	Previous []byte
}

// Store is safe for concurrent use.
//
// Revisions: every successful write takes the next revision, starting at 1
// for the first write into an empty store; no two writes share one. A write
// is acknowledged only when it survives kill -9 and loss of power (mem excepted).
//
// Errors are classified with fault: NotFound, Exists, Conflict (the revision
// given is not the current one), Gone (a watch or list from a compacted or
// future revision), Exhausted (disk full), Unavailable (closed).
type Store interface {
	// Revision is that of the last acknowledged write, 0 when there was none.
	Revision() int64
	// Get returns the current entry; NotFound.
	Get(ctx context.Context, key string) (Entry, error)
	// List returns all entries whose key begins with prefix, in key order, and
	// the revision at which the list is exact. It is one consistent snapshot.
	List(ctx context.Context, prefix string) ([]Entry, int64, error)
	// Create writes a key that must not exist; Exists.
	Create(ctx context.Context, key string, value []byte) (Entry, error)
	// Update replaces the value of a key whose current revision is revision;
	// Conflict, NotFound.
	Update(ctx context.Context, key string, value []byte, revision int64) (Entry, error)
	// Delete removes a key whose current revision is revision (any when 0) and
	// returns the entry removed with Revision set to the deletion's own; Conflict, NotFound.
	Delete(ctx context.Context, key string, revision int64) (Entry, error)
	// Watch delivers every write below prefix with a revision greater than
	// after, in revision order, without gaps or repeats. after == Revision()
	// means from now on. Gone when after is older than what is remembered or
	// newer than Revision.
	Watch(ctx context.Context, prefix string, after int64) (Watch, error)
	// Close waits for writes in flight and releases everything. Later calls
	// answer Unavailable; watches end with Unavailable.
	Close() error
}

// Watch is one running watch. It ends when its context does, when the reader
// is so slow that its place is no longer remembered (Gone) or when the store closes.
type Watch interface {
	// Next blocks for at least one event and returns all that are ready, in order.
	// After an error every later call returns the same error.
	Next() ([]Event, error)
	// Close ends the watch; Next then fails. It may be called more than once.
	Close()
}

// Closed is what a closed store answers.
func Closed() error { return fault.New(fault.Unavailable, "store is closed") }
