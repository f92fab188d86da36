package disk

import (
	"fmt"
	"os"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The store rests when less than restBytes of pages were written during restAfter, after a time with more.
const (
	restAfter = 15 * time.Second
	restBytes = 1 << 20
	restSlack = 8 << 20 // a file may have this much beyond twice what is live while the store rests
	pageWrite = 16 << 10
)

// idle is what tells when to rest. It belongs to the writer.
//
//	resting ── restBytes written ──► busy (timer runs) ── timer, little written ──► resting
//	                                   ▲ │ timer, much written
//	                                   └─┘
type idle struct {
	busy    bool
	written int64 // since the timer was set
	timer   *time.Timer
}

// newIdle is busy: opening and loading read the whole file.
func newIdle() idle { return idle{busy: true, timer: time.NewTimer(restAfter)} }

// touch notes a transaction with so many bytes of values; it rewrites about four pages besides.
func (i *idle) touch(bytes int) {
	i.written += int64(bytes) + pageWrite
	if !i.busy && i.written >= restBytes {
		i.wait()
	}
}

func (i *idle) wait() {
	i.busy, i.written = true, 0
	i.timer.Reset(restAfter)
}

// rest makes the store small while nobody waits for it: the file, and what of it counts as this process's memory.
func (s *Store) rest() {
	if s.idle.written >= restBytes {
		s.idle.wait()
		return
	}
	s.idle.busy = false
	if fi, err := os.Stat(s.path); err == nil && fi.Size() > 2*s.live+restSlack {
		s.tryCompact(fi.Size())
	}
	if err := s.unmapPages(); err != nil {
		s.log.Warn("give pages of the store back", "err", err)
	}
}

// unmapPages lets go of the pages of the file that this process has looked at. They stay in the
// page cache as long as there is room, and are mapped again when they are read.
func (s *Store) unmapPages() error {
	// Inside a transaction the map does not move, and it is at least as long as the transaction's view of the file.
	return s.db.View(func(tx *bolt.Tx) error {
		_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, s.db.Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
		if errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
		return nil
	})
}
