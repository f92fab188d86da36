// Package ns pins namespaces by binding them to files, so that they live
// without a process. It knows nothing of containers. Create and Remove are all there is.
package ns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/linux/userns"
)

// Kind of a namespace: its name below /proc/<pid>/ns.
type Kind string

// The kinds that can be pinned without a process in them.
const (
	Net  Kind = "net"
	IPC  Kind = "ipc"
	UTS  Kind = "uts"
	User Kind = "user"
)

// Flag is the CLONE_NEW* flag of a kind, by its name in /proc/<pid>/ns.
func Flag(k Kind) (int, error) {
	switch k {
	case Net:
		return unix.CLONE_NEWNET, nil
	case IPC:
		return unix.CLONE_NEWIPC, nil
	case UTS:
		return unix.CLONE_NEWUTS, nil
	case User:
		return unix.CLONE_NEWUSER, nil
	}
	return 0, fmt.Errorf("a namespace of kind %q cannot be pinned", k)
}

// Options say which namespaces to make.
type Options struct {
	Kinds []Kind // but for User, which IDs ask for
	// IDs, when not empty, are the maps of a user namespace, for users and groups: pinned with the others, which it owns.
	IDs        []userns.Map
	Hostname   string // of the UTS namespace; "" leaves it
	LoopbackUp bool   // in the network namespace
}

// Create makes namespaces and pins each at dir/<kind>; Path gives that name. What
// a crashed call left there is removed first.
func Create(dir string, o Options) error {
	if err := create(dir, o); err != nil {
		return errors.Join(fmt.Errorf("create namespaces: %w", err), Remove(dir))
	}
	return nil
}

func create(dir string, o Options) error {
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		if err := Remove(dir); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	flags := 0
	for _, k := range o.Kinds {
		f, err := Flag(k)
		if err != nil {
			return err
		}
		flags |= f
	}
	if len(o.IDs) > 0 {
		return createUser(dir, flags, o)
	}
	return proc.OnThread(func() error {
		if err := unix.Unshare(flags); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if o.Hostname != "" {
			if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
				return fmt.Errorf("set host name: %w", err)
			}
		}
		if o.LoopbackUp {
			if err := LoopbackUp(); err != nil {
				return err
			}
		}
		return pin(dir, "/proc/thread-self/ns/", o.Kinds)
	})
}

func createUser(dir string, flags int, o Options) error {
	fd, err := userns.New(o.IDs, o.IDs)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := pinFile(Path(dir, User), "/proc/self/fd/"+strconv.Itoa(fd)); err != nil {
		return err
	}
	if err := createIn(dir, fd, flags, o); err != nil || !o.LoopbackUp {
		return err
	}
	return proc.OnThread(func() error {
		net, err := os.Open(Path(dir, Net))
		if err != nil {
			return err
		}
		defer net.Close()
		if err := unix.Setns(int(net.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return LoopbackUp()
	})
}

// createIn lets a child enter the user namespace, which a program with threads
// cannot, and makes the others there.
func createIn(dir string, user, flags int, o Options) error {
	p, err := proc.NewPipes()
	if err != nil {
		return err
	}
	t := new(proc.Table)
	t.KeepOnly(append(p.ChildFds(), user))
	t.Call("join user namespace", unix.SYS_SETNS, []proc.Arg{proc.Num(user), proc.Num(unix.CLONE_NEWUSER)})
	t.Call("unshare", unix.SYS_UNSHARE, []proc.Arg{proc.Num(flags)})
	if o.Hostname != "" {
		t.Call("set host name", unix.SYS_SETHOSTNAME, []proc.Arg{t.Str(o.Hostname), proc.Num(len(o.Hostname))})
	}
	t.Wait(p)
	c, err := proc.Start(t, p, 0, -1)
	if err != nil {
		p.Close()
		return err
	}
	defer func() {
		c.Abandon()
		_, _, _ = proc.Reap(c.Pid)
		unix.Close(c.Pidfd)
	}()
	if err := c.Ready(); err != nil {
		return err
	}
	return pin(dir, "/proc/"+strconv.Itoa(c.Pid)+"/ns/", o.Kinds)
}

// Path is where Create pins a kind.
func Path(dir string, k Kind) string { return filepath.Join(dir, string(k)) }

func pin(dir, from string, kinds []Kind) error {
	for _, k := range kinds {
		if err := pinFile(Path(dir, k), from+string(k)); err != nil {
			return err
		}
	}
	return nil
}

func pinFile(file, from string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return fmt.Errorf("pin namespace: %w", err)
	}
	f.Close()
	if err := unix.Mount(from, file, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin namespace at %s: %w", file, err)
	}
	return nil
}

// Remove unpins what Create made and removes dir. It is idempotent; a
// namespace ends when nothing uses it any more.
func Remove(dir string) error {
	pins, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespaces: %w", err)
	}
	for _, p := range pins {
		file := filepath.Join(dir, p.Name())
		for {
			err := unix.Unmount(file, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
			if err == unix.EINVAL || err == unix.ENOENT || err == unix.ENOTDIR {
				break
			}
			if err != nil {
				return fmt.Errorf("remove namespace %s: %w", file, err)
			}
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove namespace: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespaces: %w", err)
	}
	return nil
}
