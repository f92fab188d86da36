package mount

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Layers of an overlay. Lower goes from top to bottom; an empty Upper makes it read-only.
type Layers struct {
	Lower       []string
	Upper, Work string
	// Volatile skips all syncing of Upper: for what is worth nothing after a crash of the machine.
	Volatile bool
	// Scratch is a directory to mount on for a moment, in a mount namespace that nobody else sees. It
	// is used before Linux 6.8 only.
	Scratch string
}

// Overlay makes a detached overlay mount. attrs are MOUNT_ATTR_*.
func Overlay(l Layers, attrs int) (int, error) {
	if len(l.Lower) == 1 && l.Upper == "" {
		// overlayfs wants two directories: one alone is bound read-only instead.
		return bindReadOnly(l.Lower[0])
	}
	var open names
	defer open.close()
	short, err := open.shorten(l)
	if err != nil {
		return -1, err
	}
	if !appendsLayers() && l.Scratch != "" {
		return oldOverlay(short, attrs)
	}
	return overlay(short, attrs)
}

// names are the descriptors behind short names of directories.
type names struct{ fds []int }

func (n *names) close() {
	for _, fd := range n.fds {
		unix.Close(fd)
	}
}

// maxParameter is the longest value of fsconfig(2), with its end.
const maxParameter = 256

// shorten names a directory by a descriptor if its own name is too long, or holds what an option list would
// take for its own.
func (n *names) shorten(l Layers) (Layers, error) {
	short := func(dir string) (string, error) {
		if dir == "" || len(dir) < maxParameter && !strings.ContainsAny(dir, `:,\`) {
			return dir, nil
		}
		return n.short(dir)
	}
	out := l
	out.Lower = make([]string, len(l.Lower))
	var err error
	for i, d := range l.Lower {
		if out.Lower[i], err = short(d); err != nil {
			return l, err
		}
	}
	if out.Upper, err = short(l.Upper); err != nil {
		return l, err
	}
	out.Work, err = short(l.Work)
	return out, err
}

func (n *names) short(dir string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", dir, err)
	}
	n.fds = append(n.fds, fd)
	return "/proc/self/fd/" + strconv.Itoa(fd), nil
}

// plain are features that would make an upper directory unreadable for anything but the same overlay.
var plain = [...][2]string{{"redirect_dir", "off"}, {"metacopy", "off"}, {"index", "off"}}

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

func overlay(l Layers, attrs int) (int, error) {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system overlay: %w", err)
	}
	defer unix.Close(fd)
	for _, d := range l.Lower {
		if err := unix.FsconfigSetString(fd, "lowerdir+", d); err != nil {
			return -1, why(fd, fmt.Errorf("set layer %s of overlay: %w", d, err))
		}
	}
	options := plain[:]
	if l.Upper != "" {
		options = append(options[:len(options):len(options)], [2]string{"upperdir", l.Upper}, [2]string{"workdir", l.Work})
	}
	for _, o := range options {
		if err := unix.FsconfigSetString(fd, o[0], o[1]); err != nil {
			return -1, why(fd, fmt.Errorf("set %s of overlay to %s: %w", o[0], o[1], err))
		}
	}
	if l.Volatile && l.Upper != "" {
		if err := unix.FsconfigSetFlag(fd, "volatile"); err != nil {
			return -1, why(fd, fmt.Errorf("make overlay volatile: %w", err))
		}
	}
	return finish(fd, "overlay", attrs)
}

// oldOverlay uses mount(2), whose options are one string of at most a page: a descriptor's name keeps two hundred layers short.
func oldOverlay(l Layers, attrs int) (int, error) {
	var open names
	defer open.close()
	lower := make([]string, len(l.Lower))
	for i, d := range l.Lower {
		var err error
		if lower[i], err = open.short(d); err != nil {
			return -1, err
		}
	}
	var data strings.Builder
	data.WriteString("lowerdir=" + strings.Join(lower, ":"))
	for _, o := range plain {
		data.WriteString("," + o[0] + "=" + o[1])
	}
	if l.Upper != "" {
		data.WriteString(",upperdir=" + l.Upper + ",workdir=" + l.Work)
		if l.Volatile {
			data.WriteString(",volatile")
		}
	}
	if err := unix.Mount("overlay", l.Scratch, "overlay", 0, data.String()); err != nil {
		return -1, fmt.Errorf("mount overlay of %d layers: %w", len(lower), err)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, l.Scratch, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		err = fmt.Errorf("open overlay: %w", err)
	} else if attrs != 0 {
		err = SetAttr(fd, Attr{Set: uint64(attrs), UserNS: -1}, false)
	}
	return fd, errors.Join(err, unix.Unmount(l.Scratch, unix.MNT_DETACH))
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
