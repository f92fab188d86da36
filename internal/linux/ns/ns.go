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

// Create makes namespaces and pins each at dir/<kind>; Path gives that name. What
// a crashed call left there is removed first.
func Create(dir string, kinds ...Kind) error {
	flags, err := flagsOf(dir, kinds)
	if err != nil {
		return err
	}
	if flags&unix.CLONE_NEWUSER != 0 {
		return errors.New("create namespaces: a user namespace needs CreateUser")
	}
	err = proc.OnThread(func() error {
		if err := unix.Unshare(flags); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return pin(dir, "/proc/thread-self/ns/", kinds)
	})
	return undo(dir, err)
}

// CreateUser makes a user namespace with its maps, pinned at dir/user, and namespaces of the other kinds that it owns.
func CreateUser(dir string, uids, gids []userns.Map, kinds ...Kind) error {
	flags, err := flagsOf(dir, kinds)
	if err != nil {
		return err
	}
	fd, err := userns.New(uids, gids)
	if err != nil {
		return fmt.Errorf("create namespaces: %w", err)
	}
	defer unix.Close(fd)
	if err := pinFile(Path(dir, User), "/proc/self/fd/"+strconv.Itoa(fd)); err != nil {
		return undo(dir, err)
	}
	return undo(dir, createIn(dir, fd, flags&^unix.CLONE_NEWUSER, kinds))
}

// createIn lets a child enter the user namespace, which a program with threads
// cannot, and makes the others there.
func createIn(dir string, user, flags int, kinds []Kind) error {
	p, err := proc.NewPipes()
	if err != nil {
		return err
	}
	t := new(proc.Table)
	t.KeepOnly(append(p.ChildFds(), user))
	t.Call("join user namespace", unix.SYS_SETNS, []proc.Arg{proc.Num(user), proc.Num(unix.CLONE_NEWUSER)})
	t.Call("unshare", unix.SYS_UNSHARE, []proc.Arg{proc.Num(flags)})
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
	rest := make([]Kind, 0, len(kinds))
	for _, k := range kinds {
		if k != User {
			rest = append(rest, k)
		}
	}
	return pin(dir, "/proc/"+strconv.Itoa(c.Pid)+"/ns/", rest)
}

func flagsOf(dir string, kinds []Kind) (flags int, err error) {
	if err := Remove(dir); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("create namespaces: %w", err)
	}
	for _, k := range kinds {
		f, err := Flag(k)
		if err != nil {
			return 0, err
		}
		flags |= f
	}
	return flags, nil
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

func undo(dir string, err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("create namespaces: %w", err), Remove(dir))
}

// Remove unpins what Create made and removes dir. It is idempotent; a
// namespace ends when nothing uses it any more.
func Remove(dir string) error {
	for _, k := range []Kind{Net, IPC, UTS, User} {
		file := Path(dir, k)
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
