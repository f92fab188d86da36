package keeper

import (
	"context"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Exec starts one more process in a running container. Its streams are the
// caller's own descriptors, so nothing is copied. A command that cannot be run is Invalid.
func (c *Client) Exec(ctx context.Context, id string, e Exec) (ExecHandle, error) {
	h, err := c.exec(ctx, id, e)
	if err != nil {
		return nil, about("exec in", id, err)
	}
	return h, nil
}

func (c *Client) exec(ctx context.Context, id string, e Exec) (*execHandle, error) {
	filter, err := c.filters.compile(e.Seccomp)
	if err != nil {
		return nil, err
	}
	r := &proto.Request{Op: proto.OpExec, ID: id, Exec: &proto.Exec{Process: e.Process, User: e.User, Group: e.Group,
		StrictGroups: e.StrictGroups, TTY: e.TTY, Seccomp: filter}}
	var fds []int
	if !e.TTY {
		files := [3]*os.File{e.Stdin, e.Stdout, e.Stderr}
		for _, f := range files {
			if f != nil {
				f.Fd() // makes it blocking, as programs expect
			}
		}
		fds = addFiles(r, files)
	}
	conn, err := c.open(ctx, r, fds...)
	if err != nil {
		return nil, err
	}
	reply, got, err := read(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	h := &execHandle{conn: conn, pid: reply.Pid}
	if len(got) > 0 {
		_ = unix.SetNonblock(got[0], true)
		h.console = os.NewFile(uintptr(got[0]), "console")
	}
	// The keeper has not reaped it before it answers, and a number cannot be reused before that.
	if h.pidfd, err = unix.PidfdOpen(reply.Pid, 0); err != nil {
		h.pidfd = -1
	}
	return h, nil
}

// addFiles says in the request which streams come, and gives their descriptors.
func addFiles(r *proto.Request, files [3]*os.File) []int {
	var fds []int
	for i, f := range files {
		if f == nil {
			continue
		}
		raw, err := f.SyscallConn()
		if err != nil {
			continue
		}
		if raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }) == nil {
			r.Fds[i] = true
		}
	}
	return fds
}

type execHandle struct {
	conn    *net.UnixConn
	pid     int
	pidfd   int
	console *os.File
}

func (h *execHandle) Pid() int          { return h.pid }
func (h *execHandle) Console() *os.File { return h.console }

func (h *execHandle) Wait(ctx context.Context) (int, error) {
	reply, _, err := read(ctx, h.conn)
	if err != nil {
		return 0, fmt.Errorf("wait for exec: %w", err)
	}
	return reply.Code, nil
}

func (h *execHandle) Resize(s Size) error {
	if h.console == nil {
		return fault.New(fault.Invalid, "resize exec: it has no terminal")
	}
	raw, err := h.console.SyscallConn()
	if err != nil {
		return err
	}
	var ierr error
	err = raw.Control(func(fd uintptr) {
		ierr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Height, Col: s.Width})
	})
	if err == nil {
		err = ierr
	}
	return err
}

// Kill signals the process. One that has ended is no error.
func (h *execHandle) Kill(sig int) error {
	if h.pidfd < 0 {
		return nil
	}
	if err := unix.PidfdSendSignal(h.pidfd, unix.Signal(sig), nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill exec: %w", err)
	}
	return nil
}

// Close lets go of the process, which runs on, and closes the console.
func (h *execHandle) Close() error {
	if h.console != nil {
		h.console.Close()
	}
	if h.pidfd >= 0 {
		unix.Close(h.pidfd)
		h.pidfd = -1
	}
	return h.conn.Close()
}

// Attach joins the container's streams.
func (c *Client) Attach(ctx context.Context, id string, a Attach) (AttachHandle, error) {
	r := &proto.Request{Op: proto.OpAttach, ID: id}
	fds := addFiles(r, [3]*os.File{a.Stdin, a.Stdout, a.Stderr})
	conn, err := c.open(ctx, r, fds...)
	if err != nil {
		return nil, about("attach to", id, err)
	}
	if _, _, err := read(ctx, conn); err != nil {
		conn.Close()
		return nil, about("attach to", id, err)
	}
	return &attachHandle{conn}, nil
}

type attachHandle struct{ conn *net.UnixConn }

func (h *attachHandle) Wait(ctx context.Context) error {
	_, _, err := read(ctx, h.conn)
	return err
}

func (h *attachHandle) Close() error { return h.conn.Close() }

// Events delivers the state of every container, then every change. After the keeper
// was upgraded it connects again and begins anew, so a reader sees states, not differences. The channel closes when
// ctx ends or the keeper is gone.
func (c *Client) Events(ctx context.Context) (<-chan Event, error) {
	conn, err := c.events(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan Event)
	go func() {
		defer close(out)
		for conn != nil {
			if !forward(ctx, conn, out) {
				return
			}
			conn, _ = c.events(ctx)
		}
	}()
	return out, nil
}

func (c *Client) events(ctx context.Context) (*net.UnixConn, error) {
	conn, err := c.open(ctx, &proto.Request{Op: proto.OpEvents})
	if err != nil {
		return nil, fmt.Errorf("watch containers: %w", err)
	}
	if _, _, err := read(ctx, conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("watch containers: %w", err)
	}
	return conn, nil
}

// forward returns true when the keeper hung up, false when ctx ended.
func forward(ctx context.Context, conn *net.UnixConn, out chan<- Event) bool {
	defer conn.Close()
	for {
		reply, _, err := read(ctx, conn)
		if err != nil {
			return ctx.Err() == nil
		}
		if reply.Event == nil {
			continue
		}
		select {
		case out <- *reply.Event:
		case <-ctx.Done():
			return false
		}
	}
}
