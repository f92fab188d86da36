// Package fsat works on files below a directory by descriptor, so that no path inside
// an image is ever resolved by the host's rules: symlinks and ".." stay below the root.
//
// It must not know layers or images. Names given to Dir's methods are single
// components unless the parameter is called rel.
package fsat

import (
	"os"
	"path"
	"strings"
	"syscall"
	"unsafe"
)

// Dir is an open directory (O_PATH). Use Open or OpenDir; Close it.
type Dir struct{ fd int }

// Open opens a host directory as a root.
func Open(dir string) (*Dir, error) {
	fd, err := retry(func() (int, error) {
		return syscall.Open(dir, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return &Dir{fd}, nil
}

// Close closes the descriptor.
func (d *Dir) Close() error { return syscall.Close(d.fd) }

// Path is a host path that reaches name in this very directory, for calls that have no descriptor form.
// The last component must not be followed by the call when it may be a symlink.
func (d *Dir) Path(name string) string {
	if name == "" || name == "." {
		return "/proc/self/fd/" + itoa(d.fd)
	}
	return "/proc/self/fd/" + itoa(d.fd) + "/" + name
}

// OpenDir opens a directory below d, resolving symlinks as if d were the root of the file system.
func (d *Dir) OpenDir(rel string) (*Dir, error) {
	fd, err := d.openat2(rel, oPath|syscall.O_DIRECTORY, 0, resolveInRoot|resolveNoMagic)
	if err != nil {
		return nil, &os.PathError{Op: "open directory", Path: rel, Err: err}
	}
	return &Dir{fd}, nil
}

// OpenFile opens a file below d for reading, resolving symlinks as if d were the root.
func (d *Dir) OpenFile(rel string) (*os.File, error) {
	return d.open(rel, syscall.O_RDONLY|syscall.O_NONBLOCK, resolveInRoot|resolveNoMagic)
}

// OpenExact is OpenFile for a path without any symlink: one on the way is an error.
func (d *Dir) OpenExact(rel string) (*os.File, error) {
	return d.open(rel, syscall.O_RDONLY|syscall.O_NONBLOCK, resolveInRoot|resolveNoSymlinks)
}

func (d *Dir) open(rel string, flags int, resolve uint64) (*os.File, error) {
	fd, err := d.openat2(rel, flags, 0, resolve)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: rel, Err: err}
	}
	return os.NewFile(uintptr(fd), rel), nil
}

// Create makes a new regular file; it must not exist.
func (d *Dir) Create(name string, mode uint32) (*os.File, error) {
	fd, err := retry(func() (int, error) {
		return syscall.Openat(d.fd, name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, mode)
	})
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Mkdir makes a directory.
func (d *Dir) Mkdir(name string, mode uint32) error {
	return wrap("mkdir", name, syscall.Mkdirat(d.fd, name, mode))
}

// Mknod makes a device, FIFO or whiteout. mode includes the type.
func (d *Dir) Mknod(name string, mode uint32, dev uint64) error {
	return wrap("mknod", name, syscall.Mknodat(d.fd, name, mode, int(dev)))
}

// Symlink makes name point to target.
func (d *Dir) Symlink(target, name string) error {
	return wrap("symlink", name, call2(syscall.SYS_SYMLINKAT, target, d.fd, name))
}

// Link makes name another name of old in from; a symlink is linked itself.
func (d *Dir) Link(from *Dir, old, name string) error {
	o, n, err := twoStrings(old, name)
	if err != nil {
		return wrap("link", name, err)
	}
	_, _, e := syscall.Syscall6(syscall.SYS_LINKAT, uintptr(from.fd), uintptr(unsafe.Pointer(o)), uintptr(d.fd), uintptr(unsafe.Pointer(n)), 0, 0)
	return wrap("link", name, errno(e))
}

// Rename moves old in from to name, replacing a file.
func (d *Dir) Rename(from *Dir, old, name string) error {
	return wrap("rename", name, syscall.Renameat(from.fd, old, d.fd, name))
}

// Unlink removes a file, Rmdir an empty directory.
func (d *Dir) Unlink(name string) error { return wrap("unlink", name, unlinkat(d.fd, name, 0)) }

// Rmdir removes an empty directory.
func (d *Dir) Rmdir(name string) error { return wrap("rmdir", name, unlinkat(d.fd, name, atRemoveDir)) }

// RemoveAll removes whatever name is. A missing one is no error.
func (d *Dir) RemoveAll(name string) error {
	err := unlinkat(d.fd, name, 0)
	switch err {
	case nil, syscall.ENOENT:
		return nil
	case syscall.EISDIR:
		root, err := os.OpenRoot(d.Path(""))
		if err != nil {
			return err
		}
		defer root.Close()
		return root.RemoveAll(name)
	}
	return wrap("remove", name, err)
}

// Chown, Chmod and SetMtime change metadata; symlinks are not followed (Chmod must not be called on one).
func (d *Dir) Chown(name string, uid, gid int) error {
	return wrap("chown", name, syscall.Fchownat(d.fd, name, uid, gid, atSymlinkNoFollow|atEmptyPath))
}

// Chmod sets permission bits of something that is no symlink.
func (d *Dir) Chmod(name string, mode uint32) error {
	if name == "" {
		return wrap("chmod", name, syscall.Chmod(d.Path(""), mode))
	}
	return wrap("chmod", name, syscall.Fchmodat(d.fd, name, mode, 0))
}

// SetMtime sets access and modification time.
func (d *Dir) SetMtime(name string, sec, nsec int64) error {
	ts := [2]syscall.Timespec{{Sec: sec, Nsec: nsec}, {Sec: sec, Nsec: nsec}}
	p := d.Path(name)
	flags := atSymlinkNoFollow
	if name == "" {
		flags = 0
	}
	b, err := syscall.BytePtrFromString(p)
	if err != nil {
		return wrap("utimes", name, err)
	}
	_, _, e := syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(d.fd), uintptr(unsafe.Pointer(b)), uintptr(unsafe.Pointer(&ts)), uintptr(flags), 0, 0)
	return wrap("utimes", name, errno(e))
}

// Lstat describes name itself; name "" is the directory.
func (d *Dir) Lstat(name string) (syscall.Stat_t, error) {
	var st syscall.Stat_t
	err := fstatat(d.fd, name, &st)
	return st, wrap("lstat", name, err)
}

// Readlink gives a symlink's target.
func (d *Dir) Readlink(name string) (string, error) {
	b := make([]byte, 4097)
	n, err := retry(func() (int, error) { return syscall.Readlink(d.Path(name), b) })
	if err != nil {
		return "", wrap("readlink", name, err)
	}
	return string(b[:n]), nil
}

// Names lists the directory, unsorted.
func (d *Dir) Names() ([]string, error) {
	f, err := os.Open(d.Path(""))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Clean turns a path of an image into one relative to its root: "" for the root itself.
func Clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }
