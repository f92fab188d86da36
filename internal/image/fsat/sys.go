package fsat

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// Linux numbers that package syscall does not have; the same on amd64 and arm64.
const (
	sysOpenat2        = 437
	oPath             = 0x200000
	atRemoveDir       = 0x200
	atSymlinkNoFollow = 0x100
	atEmptyPath       = 0x1000
	resolveNoMagic    = 0x02
	resolveNoSymlinks = 0x04
	resolveInRoot     = 0x10
)

type openHow struct{ flags, mode, resolve uint64 }

func (d *Dir) openat2(rel string, flags int, mode uint32, resolve uint64) (int, error) {
	if rel == "" {
		rel = "."
	}
	p, err := syscall.BytePtrFromString(rel)
	if err != nil {
		return 0, err
	}
	how := openHow{uint64(flags | syscall.O_CLOEXEC), uint64(mode), resolve}
	return retry(func() (int, error) {
		fd, _, e := syscall.Syscall6(sysOpenat2, uintptr(d.fd), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		return int(fd), errno(e)
	})
}

// retry repeats what a signal or, for openat2, a concurrent rename interrupted.
func retry(f func() (int, error)) (int, error) {
	for range 64 {
		n, err := f()
		if err != syscall.EINTR && err != syscall.EAGAIN {
			return n, err
		}
	}
	return 0, syscall.EAGAIN
}

func fstatat(fd int, name string, st *syscall.Stat_t) error {
	b, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall6(sysNewfstatat, uintptr(fd), uintptr(unsafe.Pointer(b)), uintptr(unsafe.Pointer(st)), atSymlinkNoFollow|atEmptyPath, 0, 0)
	return errno(e)
}

func unlinkat(fd int, name string, flags int) error {
	b, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall(syscall.SYS_UNLINKAT, uintptr(fd), uintptr(unsafe.Pointer(b)), uintptr(flags))
	return errno(e)
}

func call2(nr uintptr, a string, fd int, b string) error {
	x, y, err := twoStrings(a, b)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall(nr, uintptr(unsafe.Pointer(x)), uintptr(fd), uintptr(unsafe.Pointer(y)))
	return errno(e)
}

func twoStrings(a, b string) (*byte, *byte, error) {
	x, err := syscall.BytePtrFromString(a)
	if err != nil {
		return nil, nil, err
	}
	y, err := syscall.BytePtrFromString(b)
	return x, y, err
}

func errno(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}

func itoa(n int) string { return strconv.Itoa(n) }
