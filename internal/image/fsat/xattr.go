package fsat

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"unsafe"
)

// SetXattr sets an extended attribute of name itself. ENOTSUP is given back as it is.
func (d *Dir) SetXattr(name, attr string, value []byte) error {
	p, a, err := twoStrings(d.Path(name), attr)
	if err != nil {
		return wrap("setxattr "+attr, name, err)
	}
	nr := uintptr(syscall.SYS_LSETXATTR)
	if name == "" {
		nr = syscall.SYS_SETXATTR
	}
	_, _, e := syscall.Syscall6(nr, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(a)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0, 0)
	return wrap("setxattr "+attr, name, errno(e))
}

// Xattr reads one extended attribute of name itself; nil when it has none.
func (d *Dir) Xattr(name, attr string) ([]byte, error) {
	p, a, err := twoStrings(d.Path(name), attr)
	if err != nil {
		return nil, err
	}
	nr := uintptr(syscall.SYS_LGETXATTR)
	if name == "" {
		nr = syscall.SYS_GETXATTR
	}
	buf := make([]byte, 256)
	for {
		n, _, e := syscall.Syscall6(nr, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(a)), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0)
		switch {
		case e == 0:
			return buf[:n], nil
		case e == syscall.ENODATA || e == syscall.ENOTSUP:
			return nil, nil
		case e == syscall.ERANGE && len(buf) < 1<<17:
			buf = make([]byte, len(buf)*8)
		default:
			return nil, wrap("getxattr "+attr, name, e)
		}
	}
}

// Xattrs lists the names of the extended attributes of name itself, sorted.
func (d *Dir) Xattrs(name string) ([]string, error) {
	p, err := syscall.BytePtrFromString(d.Path(name))
	if err != nil {
		return nil, err
	}
	nr := uintptr(syscall.SYS_LLISTXATTR)
	if name == "" {
		nr = syscall.SYS_LISTXATTR
	}
	var first [512]byte
	buf := first[:]
	for {
		n, _, e := syscall.Syscall(nr, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
		switch {
		case e == 0 && n == 0, e == syscall.ENOTSUP:
			return nil, nil
		case e == 0:
			list := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
			slices.Sort(list)
			return list, nil
		case e == syscall.ERANGE && len(buf) < 1<<17:
			buf = make([]byte, len(buf)*8)
		default:
			return nil, wrap("listxattr", name, e)
		}
	}
}

// The marks of overlayfs in an upper or lower directory.
const (
	opaqueAttr = "trusted.overlay.opaque"
)

// SetOpaque hides everything lower layers have in the directory name.
func (d *Dir) SetOpaque(name string) error { return d.SetXattr(name, opaqueAttr, []byte("y")) }

// Opaque reports whether the directory name hides lower layers.
func (d *Dir) Opaque(name string) (bool, error) {
	v, err := d.Xattr(name, opaqueAttr)
	return string(v) == "y", err
}

// Whiteout makes name a mark that lower layers' entry is gone.
func (d *Dir) Whiteout(name string) error { return d.Mknod(name, syscall.S_IFCHR, 0) }

// IsWhiteout reports whether st is such a mark.
func IsWhiteout(st *syscall.Stat_t) bool {
	return st.Mode&syscall.S_IFMT == syscall.S_IFCHR && st.Rdev == 0
}

// Portable reports whether an attribute belongs into an archive: trusted.* is the host's own business.
func Portable(attr string) bool { return !strings.HasPrefix(attr, "trusted.") }

// Sync flushes the whole file system that holds dir.
func Sync(dir string) error {
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return wrap("open", dir, err)
	}
	_, _, e := syscall.Syscall(sysSyncfs, uintptr(fd), 0, 0)
	return wrap("syncfs", dir, errors.Join(errno(e), syscall.Close(fd)))
}
