// Package pages gives back pages of memory that hold nothing which is not also on disk.
package pages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Forget unmaps the pages of this program's own code and constants. The kernel maps sixteen around each that is
// touched, and start-up touches most, so an idle process seems to need all of its binary. Those that are needed come back from
// the page cache, for a microsecond each (madvise(2), MADV_DONTNEED on a private mapping of a file that nobody wrote to).
func Forget() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer f.Close()
	areas, err := readOnly(f, exe)
	if err != nil {
		return fmt.Errorf("read /proc/self/maps: %w", err)
	}
	for _, a := range areas {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, a.begin, a.end-a.begin, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("forget pages at %#x: %w", a.begin, errno)
		}
	}
	return nil
}

type area struct{ begin, end uintptr }

// readOnly finds, in the format of proc_pid_maps(5), the areas of a file that can be read and never written.
func readOnly(maps io.Reader, file string) (out []area, err error) {
	for s := bufio.NewScanner(maps); s.Scan(); err = s.Err() {
		var a area
		var perms, offset, device string
		var inode uint64
		if _, err := fmt.Sscanf(s.Text(), "%x-%x %s %s %s %d", &a.begin, &a.end, &perms, &offset, &device, &inode); err != nil {
			return nil, fmt.Errorf("line %q: %w", s.Text(), err)
		}
		path := s.Text()[max(strings.IndexByte(s.Text(), '/'), 0):]
		if path == file && (perms == "r--p" || perms == "r-xp") {
			out = append(out, a)
		}
	}
	return out, err
}
