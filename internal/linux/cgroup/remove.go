package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// dying is how long killed processes may take to be gone.
const dying = 5 * time.Second

// RemoveDirs removes a group whose processes were killed, by its directories, with the groups that
// were made below it. It is idempotent.
func RemoveDirs(ctx context.Context, dirs []string) error {
	for _, d := range dirs {
		err := unix.Rmdir(d)
		if err == nil || err == unix.ENOENT {
			continue
		}
		if err := awaitEmpty(ctx, d); err != nil {
			return fmt.Errorf("remove cgroup: %w", err)
		}
		if err := cgroups.RemovePath(d); err != nil {
			return fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return nil
}

// awaitEmpty returns once no process is left in a v2 group and below. SIGKILL is not the end yet, and
// the kernel says when it is: cgroup.events can be polled (cgroups(7)). v1 has nothing like it.
func awaitEmpty(ctx context.Context, dir string) error {
	f, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 256)
	for end := time.Now().Add(dying); ctx.Err() == nil; {
		n, err := f.ReadAt(buf, 0)
		if errors.Is(err, unix.ENODEV) {
			return nil // somebody else removed it
		}
		if n == 0 {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
		if !populated(string(buf[:n])) {
			return nil
		}
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("processes in %s do not end", dir)
		}
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("poll %s: %w", f.Name(), err)
		}
	}
	return ctx.Err()
}

// populated reads cgroup.events: a line "populated 1" while a process is in the group or below.
func populated(events string) bool {
	for line := range strings.Lines(events) {
		if strings.TrimSpace(line) == "populated 1" {
			return true
		}
	}
	return false
}
