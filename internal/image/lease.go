package image

import (
	"github.com/opencontainers/go-digest"
)

// Lease keeps blobs and layers of work in progress from being collected. End it.
type Lease struct {
	s    *Store
	held []digest.Digest
}

// NewLease starts an empty lease.
func (s *Store) NewLease() *Lease { return &Lease{s: s} }

// Hold adds digests of blobs or layers, present or yet to come. Safe for concurrent use.
func (l *Lease) Hold(ds ...digest.Digest) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, d := range ds {
		l.s.leases[d]++
	}
	l.held = append(l.held, ds...)
}

// End lets go of everything.
func (l *Lease) End() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, d := range l.held {
		if l.s.leases[d]--; l.s.leases[d] <= 0 {
			delete(l.s.leases, d)
		}
	}
	l.held = nil
}

// Acquire keeps an image's layers until Release with the same owner; acquiring twice replaces. It is not
// remembered over a restart: owners acquire again when they reconcile. NotFound.
func (s *Store) Acquire(id, owner string) error {
	img, err := s.Get(id)
	if err != nil {
		return err
	}
	l := s.NewLease()
	l.Hold(img.ID)
	l.Hold(img.Layers...)
	// Held now: if it is still here it stays.
	if _, err := s.Get(string(img.ID)); err != nil {
		l.End()
		return err
	}
	s.mu.Lock()
	old := s.inUse[owner]
	s.inUse[owner] = l
	s.mu.Unlock()
	if old != nil {
		old.End()
	}
	return nil
}

// Release ends what Acquire began. An unknown owner is fine.
func (s *Store) Release(owner string) {
	s.mu.Lock()
	l := s.inUse[owner]
	delete(s.inUse, owner)
	s.mu.Unlock()
	if l != nil {
		l.End()
	}
}
