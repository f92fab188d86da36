package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Overlay makes a detached overlay mount. lower goes from top to bottom; an empty upper
// makes it read-only. attrs are MOUNT_ATTR_*. An older kernel mounts it on the directory hang for
// a moment, which only the calling thread's mount namespace may see.
func Overlay(lower []string, upper, work string, attrs int, hang string) (int, error) {
	if len(lower) == 1 && upper == "" {
		// overlayfs wants two directories: one alone is bound read-only instead.
		return bindReadOnly(lower[0])
	}
	if appendsLayers() {
		return overlay(lower, upper, work, attrs)
	}
	return overlayAt(hang, lower, upper, work, attrs)
}

// appendsLayers: the kernel takes layers one at a time (Linux 6.8). Before 6.5 any option is taken, and
// refused later with a line in the kernel's log; such kernels take an unknown one too.
var appendsLayers = sync.OnceValue(func() bool {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return true // the error will be met again
	}
	defer unix.Close(fd)
	return unix.FsconfigSetString(fd, "lowerdir+", "/") == nil && unix.FsconfigSetFlag(fd, "dhow-unknown") != nil
})

func overlay(lower []string, upper, work string, attrs int) (int, error) {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system overlay: %w", err)
	}
	defer unix.Close(fd)
	set := func(k, v string) error {
		if err := unix.FsconfigSetString(fd, k, v); err != nil {
			return why(fd, fmt.Errorf("set %s of overlay to %s: %w", k, v, err))
		}
		return nil
	}
	for _, l := range lower {
		if err := set("lowerdir+", l); err != nil {
			return -1, err
		}
	}
	if upper != "" {
		if err := set("upperdir", upper); err != nil {
			return -1, err
		}
		if err := set("workdir", work); err != nil {
			return -1, err
		}
	}
	return finish(fd, "overlay", attrs)
}

// overlayAt uses mount(2), whose options may fill a page, where fsconfig(2) takes 255 bytes for all
// layers together. Descriptors stand for the directories: 128 layers of any name fit, and no name needs escaping.
func overlayAt(hang string, lower []string, upper, work string, attrs int) (_ int, err error) {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	short := func(dir string) string {
		fd, e := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if e != nil {
			err = errors.Join(err, &os.PathError{Op: "open", Path: dir, Err: e})
			return ""
		}
		fds = append(fds, fd)
		return "/proc/self/fd/" + strconv.Itoa(fd)
	}
	names := make([]string, len(lower))
	for i, l := range lower {
		names[i] = short(l)
	}
	data := "lowerdir=" + strings.Join(names, ":")
	if upper != "" {
		data += ",upperdir=" + short(upper) + ",workdir=" + short(work)
	}
	if err != nil {
		return -1, err
	}
	if err := unix.Mount("overlay", hang, "overlay", 0, data); err != nil {
		return -1, fmt.Errorf("mount overlay of %d layers: %w", len(lower), err)
	}
	m, err := unix.OpenTree(unix.AT_FDCWD, hang, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		err = fmt.Errorf("open tree: %w", err)
	} else if attrs != 0 {
		err = SetAttr(m, Attr{Set: uint64(attrs), UserNS: -1}, false)
	}
	if e := unix.Unmount(hang, unix.MNT_DETACH); e != nil {
		err = errors.Join(err, fmt.Errorf("unmount %s: %w", hang, e))
	}
	if err != nil && m >= 0 {
		unix.Close(m)
		m = -1
	}
	return m, err
}

func bindReadOnly(dir string) (int, error) {
	d, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(d)
	m, err := Bind(d, false)
	if err != nil {
		return -1, err
	}
	if err := SetAttr(m, Attr{Set: unix.MOUNT_ATTR_RDONLY, UserNS: -1}, false); err != nil {
		unix.Close(m)
		return -1, err
	}
	return m, nil
}
