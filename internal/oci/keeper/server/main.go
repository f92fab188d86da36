package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Main is the keeper's program:
//
//	dhow-keeper start DIR HASH      take DIR's lock and socket, leave a keeper behind, exit
//	dhow-keeper serve DIR HASH      be the keeper; lock and socket are descriptors 3 and 4
//	dhow-keeper init - -            reap the orphans of a shared PID namespace
//	dhow-keeper resume DIR HASH FD  be the keeper after an upgrade; FD is the state
func Main(args []string) error {
	if len(args) < 4 {
		return errors.New("usage: dhow-keeper start|serve|resume DIR HASH [FD] (it is started by dhow)")
	}
	name := cstring("dhow-keeper")
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(name), 0, 0, 0)
	runtime.KeepAlive(name)
	// A container's process is a copy of us until it executes its command: none of them may look into it.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	verb, dir, hash := args[1], args[2], args[3]
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	// Little lives here; give it back early.
	debug.SetGCPercent(50)
	switch verb {
	case "init":
		// The kernel reaps the children of whoever ignores their end. Whoever ends the first process of a PID
		// namespace ends all: no container may do that with a signal.
		signal.Ignore()
		for {
			_ = unix.Pause()
		}
	case "start":
		return start(dir, hash)
	case "serve":
		return serve(dir, hash, log)
	case "resume":
		if len(args) < 5 {
			return errors.New("resume needs a state")
		}
		fd, err := strconv.Atoi(args[4])
		if err != nil {
			return fmt.Errorf("resume: %w", err)
		}
		s, err := Resume(dir, hash, os.NewFile(uintptr(fd), "state"), log)
		if err != nil {
			return err
		}
		return s.Run()
	}
	return fmt.Errorf("unknown verb %q", verb)
}

// start leaves a keeper behind whose parent is gone at once, so it belongs to
// nobody's session. The socket listens already when it returns.
func start(dir, hash string) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if err == unix.EWOULDBLOCK {
			return nil // there is one
		}
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := os.Remove("sock"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// A relative name: a socket's path is limited to 107 bytes, a directory's is not.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "sock", Net: "unix"})
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	l.SetUnlinkOnClose(false)
	sock, err := l.File()
	if err != nil {
		return err
	}
	logFile, err := os.OpenFile("log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	p, err := os.StartProcess("/proc/self/exe", []string{"dhow-keeper", "serve", dir, hash}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, null, logFile, lock, sock}, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return err
	}
	return p.Release()
}

func serve(dir, hash string, log *slog.Logger) error {
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	l, err := Listener(4)
	if err != nil {
		return err
	}
	s, err := New(dir, hash, os.NewFile(3, "lock"), l, log)
	if err != nil {
		return err
	}
	if err := s.Recover(); err != nil {
		return err
	}
	return s.Run()
}

func cstring(s string) unsafe.Pointer {
	b := append([]byte(s), 0)
	return unsafe.Pointer(&b[0])
}
