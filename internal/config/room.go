package config

import (
	"fmt"
	"syscall"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// leastRoom is what a start needs at least: keys, a store and records, with some to spare.
const leastRoom = 64 << 20

// CheckRoom looks at the disk of the data directory: Exhausted when it is as good as full.
func (l Layout) CheckRoom() error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(l.Data, &st); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", l.Data, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < leastRoom {
		return fault.New(fault.Exhausted, "the disk of %s has only %d MB left: free some space, or choose another --data-dir", l.Data, free>>20)
	}
	return nil
}
