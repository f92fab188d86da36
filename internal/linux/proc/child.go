package proc

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pipes are the two pipes between a parent and a child that waits before it
// goes on. The child's ends are close-on-exec.
type Pipes struct {
	status, statusChild int
	sync, syncChild     int
}

// NewPipes makes them. Close is needed if Start is never called.
func NewPipes() (*Pipes, error) {
	var s, g [2]int
	if err := unix.Pipe2(s[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	if err := unix.Pipe2(g[:], unix.O_CLOEXEC); err != nil {
		unix.Close(s[0])
		unix.Close(s[1])
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	return &Pipes{status: s[0], statusChild: s[1], sync: g[1], syncChild: g[0]}, nil
}

// Close drops every end that is still open.
func (p *Pipes) Close() {
	for _, fd := range []*int{&p.status, &p.statusChild, &p.sync, &p.syncChild} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// ChildFds are the descriptors that KeepOnly must keep for Wait to work.
func (p *Pipes) ChildFds() []int { return []int{p.statusChild, p.syncChild} }

// KeepOnly closes every descriptor of the child but these.
func (t *Table) KeepOnly(fds []int) {
	fds = slices.Compact(slices.Sorted(slices.Values(fds)))
	next := 0
	for _, fd := range fds {
		if fd > next {
			t.Call("close descriptors", unix.SYS_CLOSE_RANGE, []Arg{Num(next), Num(fd - 1), Num(0)})
		}
		next = fd + 1
	}
	t.Call("close descriptors", unix.SYS_CLOSE_RANGE, []Arg{Num(next), Num(uint32(1<<32 - 1)), Num(0)})
}

// Wait makes the child say that it is ready and then wait for Child.Go. It ends silently
// when the parent goes away instead.
func (t *Table) Wait(p *Pipes) {
	buf := make([]byte, 1)
	b := t.Bytes(buf)
	t.Call("report ready", unix.SYS_WRITE, []Arg{Num(p.statusChild), b, Num(1)})
	t.Call("wait for start", unix.SYS_READ, []Arg{Num(p.syncChild), b, Num(1)}, ExitOnZero())
}

// Child is a process started from a Table.
type Child struct {
	Pid   int
	Pidfd int // the owner's to close
	pipes *Pipes
	names []string
}

// Start forks a child with the CLONE_* flags that runs t. cgroup is the
// descriptor of a v2 cgroup directory to start in, or -1. The table is used up, and
// so are p's ends for the child. The calling thread's namespaces are what the child starts with.
func Start(t *Table, p *Pipes, flags uint64, cgroup int) (*Child, error) {
	if t.done {
		return nil, fmt.Errorf("table is used up")
	}
	t.done = true
	defer t.release()
	var pidfd int32 = -1
	args := &cloneArgs{flags: flags | unix.CLONE_PIDFD, exitSignal: uint64(unix.SIGCHLD)}
	pp := t.Ptr(ptr(&pidfd))
	args.pidfd = uint64(pp.v)
	if cgroup >= 0 {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(cgroup)
	}
	syscall.ForkLock.Lock()
	pid, errno := clone(args, t.ops, uintptr(p.statusChild))
	syscall.ForkLock.Unlock()
	unix.Close(p.statusChild)
	unix.Close(p.syncChild)
	p.statusChild, p.syncChild = -1, -1
	if errno != 0 {
		return nil, fmt.Errorf("clone: %w", errno)
	}
	return &Child{Pid: int(pid), Pidfd: int(pidfd), pipes: p, names: t.names}, nil
}

// Ready returns when the child waits, or with the *Failure that kept it from that.
func (c *Child) Ready() error {
	n, err := c.read()
	if err == nil && n == 0 {
		return fmt.Errorf("child ended before it was ready")
	}
	return err
}

// Go lets the waiting child go on and returns when it has become another program.
// The error is a *Failure when a call failed. The pipes are closed.
func (c *Child) Go() error {
	defer c.pipes.Close()
	if _, err := unix.Write(c.pipes.sync, []byte{1}); err != nil {
		return fmt.Errorf("wake child: %w", err)
	}
	_, err := c.read()
	return err
}

// Pipes returns the parent's ends, so that another program can take over with Resume.
func (c *Child) Pipes() (status, sync int) { return c.pipes.status, c.pipes.sync }

// Names of the calls that may still fail.
func (c *Child) Names() []string { return c.names }

// Resume is a waiting child that an earlier program of this process started.
func Resume(pid, pidfd, status, sync int, names []string) *Child {
	return &Child{Pid: pid, Pidfd: pidfd, names: names,
		pipes: &Pipes{status: status, sync: sync, statusChild: -1, syncChild: -1}}
}

// Abandon closes the pipes: a waiting child ends.
func (c *Child) Abandon() { c.pipes.Close() }

// read gives 1 for a child that is ready, 0 for one that executed something else or is gone.
func (c *Child) read() (int, error) {
	var buf [reportSize]byte
	for {
		n, err := unix.Read(c.pipes.status, buf[:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, os.NewSyscallError("read status of child", err)
		case n <= 1:
			return n, nil
		case n != reportSize || binary.NativeEndian.Uint32(buf[:]) != reportMagic:
			return 0, fmt.Errorf("status of child: %w", io.ErrUnexpectedEOF)
		}
		f := &Failure{Step: "unknown step", Errno: unix.Errno(binary.NativeEndian.Uint32(buf[8:]))}
		if i := binary.NativeEndian.Uint32(buf[4:]); int(i) < len(c.names) {
			f.Step = c.names[i]
		}
		return 0, f
	}
}
