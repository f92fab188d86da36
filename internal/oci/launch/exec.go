package launch

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Target is a running container to start another process in.
type Target struct {
	Pidfd   int
	Cgroups []string
	User    bool // it has a user namespace
}

// Exec prepares a process in a running container, up to the point where it waits for Start.
func Exec(e *proto.Exec, target Target, stdio [3]int) (*Process, error) {
	if e.Process == nil || len(e.Process.Args) == 0 {
		return nil, fault.New(fault.Invalid, "no command")
	}
	if err := confinable(e.Process); err != nil {
		return nil, err
	}
	r := newRoom("", "")
	defer r.close()
	if err := r.ownProc(e.Process); err != nil {
		return nil, err
	}
	var child *proc.Child
	err := proc.OnThread(func() (err error) {
		child, err = enter(e, target, r, stdio)
		return err
	})
	if err == nil {
		if _, err = settle(child, e.Process); err != nil {
			discard(child)
		}
	}
	if err != nil {
		if r.console >= 0 {
			unix.Close(r.console)
		}
		return nil, classify(err)
	}
	return &Process{Child: child, Identity: r.identity, Console: r.console}, nil
}

func enter(e *proto.Exec, target Target, r *room, stdio [3]int) (*proc.Child, error) {
	if err := (joinCgroup{target.Cgroups}).do(r); err != nil {
		return nil, fmt.Errorf("join cgroup: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWPID
	if err := unix.Setns(target.Pidfd, all); err != nil {
		if err == unix.ESRCH {
			return nil, fault.New(fault.Conflict, "container is not running")
		}
		return nil, fmt.Errorf("join namespaces: %w", err)
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	r.own(root)
	r.root = root
	if err := identify(e, r); err != nil {
		return nil, err
	}
	if e.TTY {
		if err := execConsole(e, r); err != nil {
			return nil, fmt.Errorf("open console: %w", err)
		}
		stdio = [3]int{r.slave, r.slave, r.slave}
	}
	p, err := proc.NewPipes()
	if err != nil {
		return nil, err
	}
	t := new(proc.Table)
	keep := append(p.ChildFds(), stdio[0], stdio[1], stdio[2])
	if r.attr >= 0 {
		keep = append(keep, r.attr)
	}
	t.KeepOnly(append(keep, target.Pidfd))
	// Not earlier: with nsdelegate (cgroups(7)), which systemd sets, the kernel lets nobody inside a cgroup
	// namespace be born in a cgroup unless it is in one below that namespace's root already.
	t.Call("join cgroup namespace", unix.SYS_SETNS, []proc.Arg{proc.Num(target.Pidfd), proc.Num(unix.CLONE_NEWCGROUP)})
	if target.User {
		t.Call("join user namespace", unix.SYS_SETNS, []proc.Arg{proc.Num(target.Pidfd), proc.Num(unix.CLONE_NEWUSER)})
	}
	t.KeepOnly(keep)
	t.Call("make session", unix.SYS_SETSID, nil)
	t.Wait(p)
	err = become(t, &payload{process: e.Process, identity: r.identity, seccomp: e.Seccomp, tty: e.TTY, stdio: stdio, init: -1, proc: r.attr, full: target.User})
	if err == nil {
		var child *proc.Child
		if child, err = proc.Start(t, p, 0, r.cgroup); err == nil {
			return child, nil
		}
	}
	p.Close()
	return nil, err
}

func identify(e *proto.Exec, r *room) error {
	s := resolveUser{e.User, e.Group, e.StrictGroups}
	r.spec = specOf(e)
	if err := s.do(r); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}
