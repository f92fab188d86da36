package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// baggage is what one program hands the next one across exec. Numbers are descriptors, -1 for none.
type baggage struct {
	Seq          uint64
	Lock, Listen int
	Asker        int // the connection of who wanted the upgrade
	Boxes        []boxBag
	Execs        []execBag
}

type boxBag struct {
	State          proto.State
	Birth          uint64
	User, Once     bool
	Strays         bool `json:",omitempty"`
	LogPath        string
	Pidfd, Console int
	Stdin          int
	Outputs        []outputBag
	// A created container's pipes, and what its process may still fail in.
	Status, Sync int
	Steps        []string
}

type outputBag struct {
	Fd    int
	Name  string
	Rest  []byte
	Ended bool
}

type execBag struct{ Pid, Pidfd, Conn int }

// upgrade becomes the program whose descriptor came with the request. Children stay children, because the
// process stays; it returns only when the new program could not be executed.
func (s *Server) upgrade(c *call) error {
	if len(c.fds) != 1 {
		return fault.New(fault.Invalid, "an upgrade comes with one program")
	}
	// From here on nobody reads, forks, reaps or answers.
	s.upgrading.Lock()
	defer s.upgrading.Unlock()
	bag, thaw := s.pack(c)
	defer thaw()
	data, err := json.Marshal(bag)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("state", 0)
	if err != nil {
		return fmt.Errorf("make state file: %w", err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, data); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	for _, n := range bag.descriptors() {
		if _, err := unix.FcntlInt(uintptr(n), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep descriptor %d: %w", n, err)
		}
	}
	err = syscall.Exec("/proc/self/fd/"+strconv.Itoa(c.fds[0]), []string{"dhow-keeper", "resume", s.dir, c.req.Hash, strconv.Itoa(fd)}, nil)
	for _, n := range bag.descriptors() {
		unix.CloseOnExec(n)
	}
	return fmt.Errorf("execute new keeper: %w", err)
}

// pack stops everything and writes it down; the function lets it go on.
func (s *Server) pack(c *call) (*baggage, func()) {
	s.mu.Lock()
	bag := &baggage{Seq: s.seq, Lock: rawFd(s.lock), Listen: connFd(s.listen), Asker: connFd(c.conn)}
	var locked []interface{ Unlock() }
	for _, b := range s.boxes {
		if b == nil {
			continue
		}
		b.mu.Lock()
		locked = append(locked, &b.mu)
		k := boxBag{State: b.state, Birth: b.birth, User: b.user, Once: b.once, Strays: b.strays, LogPath: b.log.path, Pidfd: b.pidfd,
			Console: fileFd(b.console), Stdin: fileFd(b.stdin), Status: -1, Sync: -1}
		if b.stdin == b.console {
			k.Stdin = k.Console
		}
		if b.child != nil {
			k.Status, k.Sync = b.child.Pipes()
			k.Steps = b.child.Names()
		}
		for _, p := range b.pumps {
			p.mu.Lock()
			locked = append(locked, &p.mu)
			k.Outputs = append(k.Outputs, outputBag{Fd: p.fd, Name: p.s.name, Rest: p.s.rest, Ended: p.ended})
		}
		bag.Boxes = append(bag.Boxes, k)
	}
	for r := range s.execs {
		bag.Execs = append(bag.Execs, execBag{r.pid, r.pidfd, connFd(r.conn)})
	}
	return bag, func() {
		for _, l := range locked {
			l.Unlock()
		}
		s.mu.Unlock()
	}
}

func (g *baggage) descriptors() []int {
	all := []int{g.Lock, g.Listen, g.Asker}
	for _, b := range g.Boxes {
		all = append(all, b.Pidfd, b.Console, b.Stdin, b.Status, b.Sync)
		for _, o := range b.Outputs {
			if !o.Ended {
				all = append(all, o.Fd)
			}
		}
	}
	for _, e := range g.Execs {
		all = append(all, e.Pidfd, e.Conn)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(n int) bool { return n < 0 })
}

func fileFd(f *os.File) int {
	if f == nil {
		return -1
	}
	return rawFd(f)
}

func connFd(c syscall.Conn) int {
	n := -1
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// Resume unpacks what the program before this one left in the file, and goes on serving.
func Resume(dir, hash string, state *os.File, log *slog.Logger) (*Server, error) {
	defer state.Close()
	if _, err := state.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	var bag baggage
	if err := json.NewDecoder(state).Decode(&bag); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	for _, n := range bag.descriptors() {
		unix.CloseOnExec(n)
	}
	l, err := Listener(bag.Listen)
	if err != nil {
		return nil, err
	}
	s, err := New(dir, hash, os.NewFile(uintptr(bag.Lock), "lock"), l, log)
	if err != nil {
		return nil, err
	}
	s.seq = bag.Seq
	for _, k := range bag.Boxes {
		s.unpack(k)
	}
	for _, e := range bag.Execs {
		conn, err := unixConn(e.Conn)
		if err != nil {
			log.Error("an exec's client is lost", "pid", e.Pid, "err", err)
			continue
		}
		r := &running{e.Pid, e.Pidfd, conn}
		s.execs[r] = true
		go func() { s.finish(r); conn.Close() }()
	}
	if conn, err := unixConn(bag.Asker); err == nil {
		_ = proto.Write(conn, &proto.Reply{})
		conn.Close()
	}
	return s, nil
}

func (s *Server) unpack(k boxBag) {
	b := &box{state: k.State, birth: k.Birth, user: k.User, once: k.Once, strays: k.Strays, pidfd: k.Pidfd, gone: make(chan struct{})}
	var err error
	if b.log, err = openLog(k.LogPath); err != nil {
		s.log.Error("log of a container is incomplete", "container", k.State.ID, "err", err)
	}
	if k.Console >= 0 {
		b.console = nonblock(k.Console, "console")
	}
	switch {
	case k.Stdin >= 0 && k.Stdin == k.Console:
		b.stdin = b.console
	case k.Stdin >= 0:
		b.stdin = nonblock(k.Stdin, "input")
	}
	if k.Status >= 0 {
		b.child = proc.Resume(k.State.Pid, k.Pidfd, k.Status, k.Sync, k.Steps)
	}
	s.boxes[k.State.ID] = b
	for _, o := range k.Outputs {
		if o.Ended {
			continue
		}
		f := b.console
		if o.Fd != k.Console {
			f = nonblock(o.Fd, "output")
		}
		s.pump(b, f, o.Fd, o.Name, o.Rest)
	}
	if k.State.Status == proto.Exited {
		close(b.gone)
		return
	}
	s.watch(b)
}

// Listener makes a descriptor a listening unix socket again.
func Listener(fd int) (*net.UnixListener, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over socket: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		return nil, errors.New("take over socket: it is no unix socket")
	}
	return u, nil
}

func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a unix connection")
	}
	return u, nil
}
