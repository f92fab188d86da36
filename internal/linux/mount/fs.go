package mount

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FS makes a detached mount of a new file system. options are the file
// system's own ("size=64m", "mode=755"); attrs are MOUNT_ATTR_*.
func FS(fstype, source string, options []string, attrs int) (int, error) {
	fd, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system %s: %w", fstype, err)
	}
	defer unix.Close(fd)
	if source != "" {
		if err := unix.FsconfigSetString(fd, "source", source); err != nil {
			return -1, why(fd, fmt.Errorf("set source %s: %w", source, err))
		}
	}
	for _, o := range options {
		k, v, has := strings.Cut(o, "=")
		if has {
			err = unix.FsconfigSetString(fd, k, v)
		} else {
			err = unix.FsconfigSetFlag(fd, k)
		}
		if err != nil {
			return -1, why(fd, fmt.Errorf("set option %s of %s: %w", o, fstype, err))
		}
	}
	return finish(fd, fstype, attrs)
}

func finish(fd int, fstype string, attrs int) (int, error) {
	if err := unix.FsconfigCreate(fd); err != nil {
		return -1, why(fd, fmt.Errorf("create file system %s: %w", fstype, err))
	}
	m, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return -1, why(fd, fmt.Errorf("mount %s: %w", fstype, err))
	}
	return m, nil
}

// why adds what the kernel has to say about a failure on a file system descriptor.
func why(fd int, err error) error {
	buf := make([]byte, 1024)
	if n, e := unix.Read(fd, buf); e == nil && n > 2 {
		return fmt.Errorf("%w (%s)", err, strings.TrimSpace(string(buf[2:n])))
	}
	return err
}

// Bind makes a detached copy of the mount at fd, with the mounts below it if recursive.
func Bind(fd int, recursive bool) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	m, err := unix.OpenTree(fd, "", flags)
	if err != nil {
		return -1, fmt.Errorf("open tree: %w", err)
	}
	return m, nil
}

// Move places the detached mount m at the file or directory that target is open on.
func Move(m, target int) error {
	if err := unix.MoveMount(m, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("move mount: %w", err)
	}
	return nil
}

// Attr changes a mount. Propagation is MS_SHARED, MS_SLAVE, MS_PRIVATE,
// MS_UNBINDABLE or 0; UserNS is -1 or a user namespace to map ids by.
type Attr struct {
	Set, Clear  uint64
	Propagation uint64
	UserNS      int
}

// SetAttr applies a to the mount at fd, and to all below it if recursive.
func SetAttr(fd int, a Attr, recursive bool) error {
	at := unix.MountAttr{Attr_set: a.Set, Attr_clr: a.Clear, Propagation: a.Propagation}
	if a.UserNS >= 0 {
		at.Attr_set |= unix.MOUNT_ATTR_IDMAP
		at.Userns_fd = uint64(a.UserNS)
	}
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(fd, "", flags, &at); err != nil {
		return fmt.Errorf("set mount attributes: %w", err)
	}
	return nil
}

// RawAttr is struct mount_attr for a raw call, with its size.
func RawAttr(set uint64) (unsafe.Pointer, uintptr) {
	a := &unix.MountAttr{Attr_set: set}
	return unsafe.Pointer(a), unsafe.Sizeof(*a)
}

// Tmpfs mounts a tmpfs on a directory of the host. Unmount ends it.
func Tmpfs(dir string, attrs int, options ...string) error {
	m, err := FS("tmpfs", "tmpfs", options, attrs)
	if err != nil {
		return err
	}
	defer unix.Close(m)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	return Move(m, fd)
}

// Unmount detaches what is mounted at a path, however many times. What is not mounted is no error.
func Unmount(at string) error {
	for {
		err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT || err == unix.ENOTDIR {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
}
