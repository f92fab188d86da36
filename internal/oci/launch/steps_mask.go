package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
)

// openMask prepares what hides one path: /dev/null for a file, an empty directory for another. What the path is, the
// host's own /proc and /sys tell, which one kernel fills; so only one of the two is prepared, or none. Should
// the container's differ, there is nothing to hide it with, and the container is not made.
type openMask struct {
	index int
	path  string
}

func (s openMask) String() string { return fmt.Sprintf("open mask %d for %s", s.index, s.path) }

func (s openMask) do(r *room) error {
	pair := [2]int{-1, -1}
	file, dir := kindOf(s.path)
	var err error
	if file {
		if pair[0], err = bindMask(r, "/dev/null"); err != nil {
			return err
		}
	}
	if dir {
		if pair[1], err = bindMask(r, r.emptyDir); err != nil {
			return err
		}
		if err := mount.SetAttr(pair[1], mount.Attr{Set: unix.MOUNT_ATTR_RDONLY, UserNS: -1}, false); err != nil {
			return err
		}
	}
	r.masks[s.index] = pair
	return nil
}

func bindMask(r *room, name string) (int, error) {
	fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	m, err := mount.Bind(fd, false)
	if err != nil {
		return -1, err
	}
	r.own(m)
	return m, nil
}

// kindOf says what a path of a container can be. Both: anything.
func kindOf(path string) (file, dir bool) {
	witness := ""
	switch {
	case strings.HasPrefix(path, "/proc/"):
		witness = "/proc/version" // not there when the host's /proc shows processes only
	case strings.HasPrefix(path, "/sys/"):
		witness = "/sys/kernel"
	}
	if witness == "" {
		return true, true
	}
	if _, err := os.Stat(witness); err != nil {
		return true, true
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false
	}
	if err != nil {
		return true, true
	}
	return !st.IsDir(), st.IsDir()
}
