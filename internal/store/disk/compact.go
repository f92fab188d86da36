package disk

import (
	"errors"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
)

// bbolt reuses pages but never gives them back. The promise is: the file is never larger
// than twice what is live plus 64 MB. slack is below that, since the copy lies beside it for a moment.
const slack = 48 << 20

// txMax bounds a transaction of the copy, in bytes.
const txMax = 1 << 20

// pace keeps compaction that fails, or does not help, from being tried at every write.
type pace struct{ notBefore time.Time }

// maybeCompact rewrites the file when it has grown too far beyond what it holds. Writes wait
// meanwhile (about 1 ms a MB), reads go on until the moment of the swap.
func (s *Store) maybeCompact() {
	if fi, err := os.Stat(s.path); err == nil && fi.Size() > 2*s.live+slack && time.Now().After(s.pace.notBefore) {
		s.tryCompact(fi.Size())
	}
}

// tryCompact rewrites the file, which has before bytes.
func (s *Store) tryCompact(before int64) {
	if err := s.compact(); err != nil {
		s.pace.notBefore = time.Now().Add(10 * time.Second)
		s.log.Error("compact store", "path", s.path, "error", err)
		return
	}
	fi, err := os.Stat(s.path)
	if err != nil || fi.Size() > 2*s.live+slack {
		s.pace.notBefore = time.Now().Add(10 * time.Second)
		return
	}
	s.log.Info("compacted store", "path", s.path, "before", before, "after", fi.Size())
}

func (s *Store) compact() error {
	fresh := s.path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	to, err := bolt.Open(fresh, 0o600, options())
	if err != nil {
		return err
	}
	if err := bolt.Compact(to, s.db, txMax); err != nil {
		return errors.Join(err, to.Close(), os.Remove(fresh))
	}
	// The copy keeps its lock through the rename, so no other process can slip in between.
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := replace(fresh, s.path); err != nil {
		return errors.Join(err, to.Close(), os.Remove(fresh))
	}
	old := s.db
	s.db = to
	return old.Close()
}
