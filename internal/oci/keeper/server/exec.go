package server

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/oci/launch"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// running is an exec: its process and the connection that waits for its end.
type running struct {
	pid, pidfd int
	conn       *net.UnixConn
}

// exec starts the process, answers with its pid (and terminal), and answers
// again with its exit code. When the client hangs up the process goes on.
func (s *Server) exec(c *call) {
	defer c.close()
	s.upgrading.RLock()
	p, err := s.startExec(c)
	if err != nil {
		s.upgrading.RUnlock()
		_ = proto.Write(c.conn, proto.Fail(err))
		return
	}
	r := &running{pid: p.Pid, pidfd: p.Pidfd, conn: c.conn}
	s.mu.Lock()
	s.execs[r] = true
	s.mu.Unlock()
	if p.Console >= 0 {
		_ = proto.Write(c.conn, &proto.Reply{Pid: p.Pid}, p.Console)
		unix.Close(p.Console)
	} else {
		_ = proto.Write(c.conn, &proto.Reply{Pid: p.Pid})
	}
	s.upgrading.RUnlock()
	s.finish(r)
}

// finish waits for an exec's end and reports it.
func (s *Server) finish(r *running) {
	pidfd, err := unix.FcntlInt(uintptr(r.pidfd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = await(pidfd)
	}
	if err != nil {
		s.log.Error("cannot watch an exec", "pid", r.pid, "err", err)
	}
	s.upgrading.RLock()
	defer s.upgrading.RUnlock()
	code, _, err := proc.Reap(r.pid)
	s.mu.Lock()
	delete(s.execs, r)
	s.mu.Unlock()
	unix.Close(r.pidfd)
	if err != nil {
		_ = proto.Write(r.conn, proto.Fail(err))
		return
	}
	_ = proto.Write(r.conn, &proto.Reply{Pid: r.pid, Code: code})
}

func (s *Server) startExec(c *call) (*launch.Process, error) {
	e := c.req.Exec
	b, err := s.box(c.req.ID)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	if b.state.Status != proto.Running {
		defer b.mu.Unlock()
		return nil, fault.New(fault.Conflict, "container %s is %s", c.req.ID, b.state.Status)
	}
	pidfd, err := unix.FcntlInt(uintptr(b.pidfd), unix.F_DUPFD_CLOEXEC, 0)
	target := launch.Target{Pidfd: pidfd, Cgroups: b.state.Cgroups, User: b.user}
	b.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("open container %s: %w", c.req.ID, err)
	}
	defer unix.Close(pidfd)
	stdio, closeAll, err := streamsOf(c)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	p, err := launch.Exec(e, target, stdio)
	if err != nil {
		return nil, err
	}
	if err := launch.Start(p.Child); err != nil {
		launch.Discard(p)
		return nil, err
	}
	return p, nil
}

// streamsOf are an exec's descriptors, /dev/null for what the client did not send.
func streamsOf(c *call) (stdio [3]int, closeAll func(), err error) {
	var null *os.File
	for i, f := range c.files {
		if f == nil {
			if null == nil {
				if null, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
					return stdio, nil, err
				}
			}
			f = null
		}
		stdio[i] = rawFd(f)
	}
	return stdio, func() {
		if null != nil {
			null.Close()
		}
	}, nil
}
