// Package netns makes network namespaces that are pinned by a file, enters
// them, and forgets them.
//
// A pinned namespace lives without a process in it: the file is a bind mount of
// it. It knows nothing of addresses or links.
package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const self = "/proc/thread-self/ns/net"

// Create makes a new namespace, runs setup inside it, and pins it at path, a
// file that is created. host is the namespace the caller was in. When setup
// fails nothing is left. setup must not start goroutines that use the namespace.
func Create(path string, setup func(host *os.File) error) error {
	return create(path, func() error { return unix.Unshare(unix.CLONE_NEWNET) }, setup)
}

// Adopt is Create with the namespace that the file from is.
func Adopt(path, from string, setup func(host *os.File) error) error {
	return create(path, func() error { return join(from) }, setup)
}

func create(path string, enter func() error, setup func(host *os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return fmt.Errorf("pin network namespace: %w", err)
	}
	f.Close()
	err = inThread(enter, func(host *os.File) error {
		if err := setup(host); err != nil {
			return err
		}
		if err := unix.Mount(self, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin network namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		os.Remove(path)
	}
	return err
}

// Do runs f inside the namespace pinned at path. What f opens (sockets, above
// all) keeps belonging to it; goroutines f starts do not run inside.
func Do(path string, f func() error) error {
	return inThread(func() error { return join(path) }, func(*os.File) error { return f() })
}

func join(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
}

// Delete unpins the namespace and removes its file. The kernel frees it, and
// every link in it, once no process is inside. A missing file is no error.
func Delete(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unpin network namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove network namespace file: %w", err)
	}
	return nil
}

// Pinned tells whether path is a pinned namespace; after a reboot the file
// is there and the namespace is not.
func Pinned(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Type == unix.NSFS_MAGIC
}

// inThread runs f on a thread of its own, in the namespace that enter moves
// the thread to. A thread that cannot go back dies with the goroutine instead
// of returning to the scheduler in the wrong namespace.
func inThread(enter func() error, f func(host *os.File) error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		host, err := os.Open(self)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open own network namespace: %w", err)
			return
		}
		defer host.Close()
		if err := enter(); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("change network namespace: %w", err)
			return
		}
		err = guard(f, host)
		if unix.Setns(int(host.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func guard(f func(*os.File) error, host *os.File) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("in network namespace: panic: %v", p)
		}
	}()
	return f(host)
}
