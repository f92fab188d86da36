package mount

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// inRoot resolves every symbolic link as if the descriptor were "/", and none of /proc's magic ones.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// OpenIn opens name below root, which it cannot leave. The descriptor is close-on-exec.
func OpenIn(root int, name string, flags uint64) (int, error) {
	return openat2(root, name, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: inRoot})
}

// openat2 tries again when a concurrent rename made the kernel unsure.
func openat2(root int, name string, how *unix.OpenHow) (int, error) {
	if name = strings.TrimLeft(name, "/"); name == "" {
		name = "."
	}
	for range 128 {
		fd, err := unix.Openat2(root, name, how)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("open %s in root: %w", name, err)
		}
		return fd, nil
	}
	return -1, fmt.Errorf("open %s in root: %w", name, unix.EAGAIN)
}

// MkdirAll makes the directory name below root and opens it as a path. A symbolic
// link on the way is followed inside root, even one whose target is yet to be made.
func MkdirAll(root int, name string, perm uint32) (int, error) {
	links := 0
	return mkdirAll(root, name, perm, &links)
}

// maxLinks bounds symbolic links that lead nowhere, as the kernel bounds the others.
const maxLinks = 40

func mkdirAll(root int, name string, perm uint32, links *int) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY
	fd, err := OpenIn(root, name, flags)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	name = path.Clean("/" + name)
	dir, last := path.Split(name)
	parent, err := mkdirAll(root, dir, perm, links)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	err = unix.Mkdirat(parent, last, perm)
	if err == nil {
		return OpenIn(root, name, flags)
	}
	if err != unix.EEXIST {
		return -1, fmt.Errorf("make directory %s in root: %w", name, err)
	}
	target, err := readlink(parent, last)
	if err == unix.EINVAL {
		return OpenIn(root, name, flags) // made by somebody else meanwhile
	}
	if *links++; err != nil || *links > maxLinks {
		return -1, fmt.Errorf("make directory %s in root: %w", name, errors.Join(err, unix.ELOOP))
	}
	if !path.IsAbs(target) {
		target = path.Join(dir, target)
	}
	return mkdirAll(root, target, perm, links)
}

func readlink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// CreateFile makes the file name below root, if there is nothing of that name, and opens it as a path.
func CreateFile(root int, name string, perm uint32) (int, error) {
	fd, err := OpenIn(root, name, unix.O_PATH)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	name = path.Clean("/" + name)
	dir, last := path.Split(name)
	parent, err := MkdirAll(root, dir, 0o755)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	f, err := unix.Openat(parent, last, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_WRONLY, perm)
	if err == nil {
		unix.Close(f)
	} else if err != unix.EEXIST {
		return -1, fmt.Errorf("make file %s in root: %w", name, err)
	}
	return OpenIn(root, name, unix.O_PATH)
}

// IsDir reports whether a descriptor is a directory.
func IsDir(fd int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, fmt.Errorf("stat: %w", err)
	}
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}
