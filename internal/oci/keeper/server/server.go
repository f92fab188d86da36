package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/oci/launch"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Server is a keeper.
type Server struct {
	dir    string // of the keeper: socket, lock, log, state/
	hash   string // of the running program
	log    *slog.Logger
	dirs   launch.Dirs
	lock   *os.File
	listen *net.UnixListener
	ctx    context.Context
	stop   context.CancelFunc
	group  sync.WaitGroup
	// refused is said once: a host that does not let us protect a process does so for all.
	refused sync.Once

	// upgrading is held for writing while the program replaces itself, for
	// reading by whatever may not be cut in half by that.
	upgrading sync.RWMutex

	mu      sync.Mutex
	boxes   map[string]*box // nil while one is being created
	execs   map[*running]bool
	seq     uint64
	readers map[*reader]bool
}

// New prepares a keeper for a directory whose lock it holds.
func New(dir, hash string, lock *os.File, l *net.UnixListener, log *slog.Logger) (*Server, error) {
	s := &Server{dir: dir, hash: hash, lock: lock, listen: l, log: log,
		dirs:  launch.Dirs{Pivot: filepath.Join(dir, "root"), Empty: filepath.Join(dir, "empty")},
		boxes: map[string]*box{}, execs: map[*running]bool{}, readers: map[*reader]bool{}}
	for _, d := range []string{s.dirs.Pivot, s.dirs.Empty, s.stateDir()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("prepare keeper directory: %w", err)
		}
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Run serves until Shutdown is asked for.
func (s *Server) Run() error {
	for {
		c, err := s.listen.AcceptUnix()
		if err != nil {
			if s.ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		if err := s.allowed(c); err != nil {
			s.log.Warn("connection refused", "err", err)
			c.Close()
			continue
		}
		go s.serve(c)
	}
}

// allowed lets in only our own user: whoever can ask a keeper is root in effect.
func (s *Server) allowed(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if cerr != nil {
		return cerr
	}
	if cred.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("user %d may not talk to the keeper", cred.Uid)
	}
	return nil
}

// call is one request on its connection.
type call struct {
	conn  *net.UnixConn
	req   proto.Request
	files [3]*os.File // stdin, stdout, stderr
	fds   []int       // what else came
}

func (s *Server) serve(conn *net.UnixConn) {
	c := &call{conn: conn}
	fds, err := proto.Read(conn, &c.req)
	if err != nil {
		conn.Close()
		return
	}
	for i, has := range c.req.Fds {
		if has && len(fds) > 0 {
			c.files[i] = os.NewFile(uintptr(fds[0]), "stream")
			fds = fds[1:]
		}
	}
	c.fds = fds
	s.handle(c)
}

// handle answers and closes everything, except what a long-lived request took over.
func (s *Server) handle(c *call) {
	var reply *proto.Reply
	var err error
	switch c.req.Op {
	case proto.OpEvents:
		s.events(c)
		return
	case proto.OpExec:
		s.exec(c)
		return
	case proto.OpAttach:
		s.attach(c)
		return
	case proto.OpUpgrade:
		err = s.upgrade(c) // returns only when it went wrong
	default:
		s.upgrading.RLock()
		reply, err = s.answer(&c.req)
		s.upgrading.RUnlock()
	}
	if err != nil {
		reply = proto.Fail(err)
	}
	if reply == nil {
		reply = &proto.Reply{}
	}
	if err := proto.Write(c.conn, reply); err != nil {
		s.log.Debug("reply lost", "op", c.req.Op, "err", err)
	}
	c.close()
	if c.req.Op == proto.OpShutdown && err == nil {
		s.stop()
		s.listen.Close()
	}
}

func (c *call) close() {
	c.conn.Close()
	for _, f := range c.files {
		if f != nil {
			f.Close()
		}
	}
	for _, fd := range c.fds {
		unix.Close(fd)
	}
}

func (s *Server) answer(r *proto.Request) (*proto.Reply, error) {
	switch r.Op {
	case proto.OpHello:
		return &proto.Reply{Hello: &proto.Hello{Version: proto.Version, Hash: s.hash, Pid: os.Getpid()}}, nil
	case proto.OpCreate:
		return s.create(r.Container)
	case proto.OpStart:
		return nil, s.start(r.ID)
	case proto.OpKill:
		return nil, s.kill(r.ID, r.Signal, r.All)
	case proto.OpDelete:
		return s.delete(r.ID)
	case proto.OpList:
		return &proto.Reply{States: s.list()}, nil
	case proto.OpResize:
		return nil, s.resize(r.ID, r.Size)
	case proto.OpReopen:
		return nil, s.reopen(r.ID)
	case proto.OpShutdown:
		return nil, s.shutdown()
	}
	return nil, fault.New(fault.Unsupported, "the keeper does not know request %q", r.Op)
}

func (s *Server) box(id string) (*box, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boxes[id]
	if b == nil {
		return nil, fault.New(fault.NotFound, "container %s is not known to the keeper", id)
	}
	return b, nil
}

// validID keeps ids usable as file names.
func validID(id string) bool {
	return id != "" && len(id) <= 128 && id[0] != '.' && !strings.ContainsAny(id, "/\x00\n")
}

func (s *Server) create(c *proto.Container) (*proto.Reply, error) {
	if c == nil || !validID(c.ID) {
		return nil, fault.New(fault.Invalid, "container has no usable id")
	}
	s.mu.Lock()
	if _, ok := s.boxes[c.ID]; ok {
		s.mu.Unlock()
		return nil, fault.New(fault.Exists, "container %s exists", c.ID)
	}
	s.boxes[c.ID] = nil
	s.mu.Unlock()
	b, err := s.open(c)
	s.mu.Lock()
	if err != nil {
		delete(s.boxes, c.ID)
		s.mu.Unlock()
		return nil, err
	}
	s.boxes[c.ID] = b
	s.mu.Unlock()
	pid := b.state.Pid
	b.mu.Lock()
	s.publish(b.state)
	b.mu.Unlock()
	s.watch(b)
	return &proto.Reply{Pid: pid}, nil
}

func (s *Server) start(id string) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	b.mu.Lock()
	if b.state.Status != proto.Created || b.child == nil {
		defer b.mu.Unlock()
		return fault.New(fault.Conflict, "container %s is %s", id, b.state.Status)
	}
	err = launch.Start(b.child)
	b.child = nil
	if err != nil {
		b.state.Message = err.Error()
		b.mu.Unlock()
		return err
	}
	b.state.Status, b.state.Started = proto.Running, now()
	// Told under the lock: the end of a short process must not overtake its start.
	s.publish(b.state)
	b.mu.Unlock()
	return nil
}

func (s *Server) kill(id string, sig int, all bool) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	if all && sig == int(unix.SIGKILL) {
		killCgroup(b.state.Cgroups)
	}
	err = b.signal(sig)
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH) {
		if all {
			return nil
		}
		return fault.New(fault.Conflict, "container %s has exited", id)
	}
	if err != nil {
		return fmt.Errorf("signal container %s: %w", id, err)
	}
	return nil
}

// delete ends the container, waits for that, and forgets it. It answers with the last state.
func (s *Server) delete(id string) (*proto.Reply, error) {
	b, err := s.box(id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	killCgroup(b.state.Cgroups)
	if err := b.signal(int(unix.SIGKILL)); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("kill container %s: %w", id, err)
	}
	// An upgrade waits for us, and the end of the container for nobody: no lock is wanted here.
	s.upgrading.RUnlock()
	<-b.gone
	s.upgrading.RLock()
	s.mu.Lock()
	delete(s.boxes, id)
	s.mu.Unlock()
	b.release()
	return &proto.Reply{States: []proto.State{b.state}}, s.forget(id)
}

// release closes what an exited container still holds.
func (b *box) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stdin != nil && b.stdin != b.console {
		b.stdin.Close()
	}
	for _, p := range b.pumps {
		p.f.Close()
	}
	b.log.close()
}

func (s *Server) list() []proto.State {
	var out []proto.State
	s.each(func(b *box) { out = append(out, b.state) })
	slices.SortFunc(out, func(a, b proto.State) int { return a.Created.Compare(b.Created) })
	return out
}

// each calls f with every box, locked.
func (s *Server) each(f func(*box)) {
	s.mu.Lock()
	boxes := make([]*box, 0, len(s.boxes))
	for _, b := range s.boxes {
		if b != nil {
			boxes = append(boxes, b)
		}
	}
	s.mu.Unlock()
	for _, b := range boxes {
		b.mu.Lock()
		f(b)
		b.mu.Unlock()
	}
}

func (s *Server) resize(id string, size *proto.Size) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	if b.console == nil || size == nil {
		return fault.New(fault.Invalid, "container %s has no terminal", id)
	}
	return unix.IoctlSetWinsize(rawFd(b.console), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
}

func (s *Server) reopen(id string) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	return b.log.reopen()
}

// shutdown is refused while anything runs.
func (s *Server) shutdown() error {
	for _, st := range s.list() {
		if st.Status != proto.Exited {
			return fault.New(fault.Conflict, "container %s is %s: stop it first", st.ID, st.Status)
		}
	}
	return nil
}

// Close ends what Run started. Containers are not touched.
func (s *Server) Close() error {
	s.stop()
	err := s.listen.Close()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}
