package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Dirs are two existing empty directories of the host: one to hang a root on for
// a moment, one that masks other directories.
type Dirs struct{ Pivot, Empty string }

// Process is a created container's, or an exec's.
type Process struct {
	*proc.Child
	Identity Identity
	Console  int // master of the terminal or -1; the owner's to close
	// Refused says which wish the kernel did not grant.
	Refused error
}

// Create carries out a container's plan up to the point where its process waits for
// Start. stdio are its descriptors, not used with a terminal.
func Create(c *proto.Container, dirs Dirs, stdio [3]int) (*Process, error) {
	plan, err := Compile(c)
	if err != nil {
		return nil, err
	}
	if err := confinable(c.Spec.Process); err != nil {
		return nil, err
	}
	r := newRoom(dirs.Pivot, dirs.Empty)
	r.spec = c.Spec
	defer r.close()
	if err := r.ownProc(c.Spec.Process); err != nil {
		return nil, err
	}
	if c.Init {
		if r.self, err = unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return nil, fmt.Errorf("open own program: %w", err)
		}
		r.own(r.self)
	}
	var child *proc.Child
	err = proc.OnThread(func() error {
		for _, s := range plan.Steps {
			if err := s.do(r); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		child, err = fork(r, plan, c, stdio)
		return err
	})
	var refused error
	if err == nil {
		if refused, err = settle(child, c.Spec.Process); err != nil {
			discard(child)
		}
	}
	if err != nil {
		if r.console >= 0 {
			unix.Close(r.console)
		}
		return nil, classify(err)
	}
	return &Process{Child: child, Identity: r.identity, Console: r.console, Refused: refused}, nil
}

func fork(r *room, plan *Plan, c *proto.Container, stdio [3]int) (*proc.Child, error) {
	p, err := proc.NewPipes()
	if err != nil {
		return nil, err
	}
	if c.TTY {
		stdio = [3]int{r.slave, r.slave, r.slave}
	}
	t := new(proc.Table)
	last := append(p.ChildFds(), stdio[0], stdio[1], stdio[2])
	for _, fd := range []int{r.self, r.attr} {
		if fd >= 0 {
			last = append(last, fd)
		}
	}
	keep := append(last[:len(last):len(last)], r.root)
	if r.user >= 0 {
		keep = append(keep, r.user)
	}
	// The late steps say which descriptors they need before anything is closed.
	late := &late{t: new(proc.Table), root: r.root}
	for _, s := range plan.Late {
		s.add(r, late)
	}
	t.KeepOnly(append(keep, late.keep...))
	t.Call("make session", unix.SYS_SETSID, nil)
	if plan.Unshare != 0 {
		t.Call("make namespaces", unix.SYS_UNSHARE, []proc.Arg{proc.Num(plan.Unshare)})
	}
	t.Append(late.t)
	if r.user >= 0 {
		t.Call("join user namespace", unix.SYS_SETNS, []proc.Arg{proc.Num(r.user), proc.Num(unix.CLONE_NEWUSER)})
		// The copy belongs to the user namespace, so that its root may mount.
		t.Call("make mount namespace", unix.SYS_UNSHARE, []proc.Arg{proc.Num(unix.CLONE_NEWNS)})
	}
	t.KeepOnly(last)
	t.Wait(p)
	err = become(t, &payload{process: c.Spec.Process, identity: r.identity, seccomp: c.Seccomp, tty: c.TTY, stdio: stdio, init: r.self, proc: r.attr, full: r.user >= 0})
	if err != nil {
		p.Close()
		return nil, err
	}
	child, err := proc.Start(t, p, plan.Clone, r.cgroup)
	if err != nil {
		p.Close()
		return nil, err
	}
	return child, nil
}

// settle does what only a parent can, once the child waits.
// A lower score than our own may be refused to us: it is a wish, not a promise.
func settle(c *proc.Child, p *specs.Process) (refused, err error) {
	if err := c.Ready(); err != nil {
		return nil, err
	}
	if p.OOMScoreAdj == nil {
		return nil, nil
	}
	err = os.WriteFile("/proc/"+strconv.Itoa(c.Pid)+"/oom_score_adj", []byte(strconv.Itoa(*p.OOMScoreAdj)), 0)
	if err == nil {
		return nil, nil
	}
	err = fmt.Errorf("set oom_score_adj: %w", err)
	if errors.Is(err, os.ErrPermission) {
		return err, nil
	}
	return nil, err
}

// discard ends a child that will not be used.
func discard(c *proc.Child) {
	c.Abandon()
	_ = unix.PidfdSendSignal(c.Pidfd, unix.SIGKILL, nil, 0)
	_, _, _ = proc.Reap(c.Pid)
	unix.Close(c.Pidfd)
}

// Discard ends a created process.
func Discard(p *Process) {
	discard(p.Child)
	if p.Console >= 0 {
		unix.Close(p.Console)
	}
}

// Start lets a created process become the container's command.
func Start(c *proc.Child) error { return classify(c.Go()) }

// classify makes a command that cannot be run the caller's mistake.
func classify(err error) error {
	var f *proc.Failure
	if !errors.As(err, &f) {
		return err
	}
	switch f.Errno {
	case unix.ENOENT, unix.EACCES, unix.ENOTDIR, unix.ENOEXEC, unix.ELOOP, unix.EISDIR, unix.ENAMETOOLONG, unix.E2BIG:
		return fault.As(fault.Invalid, err)
	case unix.EAGAIN, unix.ENOMEM:
		return fault.As(fault.Exhausted, err)
	}
	return err
}
