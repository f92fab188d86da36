package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/oci/launch"
)

// box is one container.
//
//	created ──Start──▶ running ──exit──▶ exited
//	   └──────────exit, failed Start──────▲
type box struct {
	mu      sync.Mutex
	state   proto.State
	birth   uint64 // start time of the process, see proc.StartTime
	child   *proc.Child
	pidfd   int
	console *os.File // terminal's master
	stdin   *os.File // write end, nil without Stdin
	once    bool     // StdinOnce
	user    bool     // has a user namespace
	strays  bool     // its end does not end its other processes: the PID namespace is not its own
	log     *logFile
	pumps   []*pump
	outputs sync.WaitGroup // running pumps
	gone    chan struct{}  // closed when it has exited and all is written
}

// pipes are the container's ends of its streams, and ours.
type pipes struct {
	child [3]int
	out   [2]*os.File
	in    *os.File
}

func (p *pipes) closeChild() {
	for _, fd := range p.child {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (p *pipes) closeOurs() {
	for _, f := range []*os.File{p.out[0], p.out[1], p.in} {
		if f != nil {
			f.Close()
		}
	}
}

// openPipes makes stdout and stderr, and stdin if wanted, else /dev/null.
func openPipes(stdin bool) (*pipes, error) {
	p := &pipes{child: [3]int{-1, -1, -1}}
	fail := func(err error) (*pipes, error) {
		p.closeChild()
		p.closeOurs()
		return nil, fmt.Errorf("make pipes: %w", err)
	}
	for i := range p.out {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			return fail(err)
		}
		p.out[i], p.child[i+1] = nonblock(fds[0], "output"), fds[1]
	}
	if !stdin {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fail(err)
		}
		p.child[0] = fd
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return fail(err)
	}
	p.child[0], p.in = fds[0], nonblock(fds[1], "input")
	return p, nil
}

// nonblock makes a file that the runtime's poller serves.
func nonblock(fd int, name string) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// open creates the container's process and starts to serve its streams.
func (s *Server) open(c *proto.Container) (*box, error) {
	log, err := openLog(c.LogPath)
	if err != nil {
		return nil, err
	}
	b := &box{log: log, once: c.StdinOnce, gone: make(chan struct{})}
	var p *pipes
	stdio := [3]int{-1, -1, -1}
	if !c.TTY {
		if p, err = openPipes(c.Stdin); err != nil {
			log.close()
			return nil, err
		}
		stdio = p.child
	}
	made, err := launch.Create(c, s.dirs, stdio)
	if p != nil {
		p.closeChild()
	}
	if err != nil {
		if p != nil {
			p.closeOurs()
		}
		log.close()
		return nil, err
	}
	if made.Refused != nil {
		s.refused.Do(func() { s.log.Warn("not granted, here and from now on", "container", c.ID, "err", made.Refused) })
	}
	b.child, b.pidfd = made.Child, made.Pidfd
	b.birth = proc.StartTime(made.Pid)
	b.state = proto.State{ID: c.ID, Pid: made.Pid, Status: proto.Created, Created: time.Now(), Cgroups: c.Cgroups,
		UID: made.Identity.UID, GID: made.Identity.GID, Groups: made.Identity.Groups}
	b.strays = true
	for _, n := range c.Spec.Linux.Namespaces {
		b.user = b.user || n.Type == "user"
		b.strays = b.strays && (n.Type != "pid" || n.Path != "")
	}
	if c.TTY {
		b.console = os.NewFile(uintptr(made.Console), "console")
		if c.Stdin {
			b.stdin = b.console
		}
		s.pump(b, b.console, made.Console, "stdout", nil)
	} else {
		b.stdin = p.in
		s.pump(b, p.out[0], -1, "stdout", nil)
		s.pump(b, p.out[1], -1, "stderr", nil)
	}
	return b, nil
}

// pump serves one output. rest is a line begun before an upgrade.
func (s *Server) pump(b *box, f *os.File, fd int, name string, rest []byte) {
	if fd < 0 {
		fd = rawFd(f)
	}
	p := &pump{f: f, fd: fd, s: stream{log: b.log, name: name, rest: rest}}
	var once sync.Once
	p.onError = func(err error) {
		once.Do(func() { s.log.Error("log of a container is incomplete", "container", b.state.ID, "err", err) })
	}
	b.pumps = append(b.pumps, p)
	b.outputs.Add(1)
	s.group.Add(1)
	go func() {
		defer s.group.Done()
		defer b.outputs.Done()
		p.run()
	}()
}

// rawFd is the descriptor of a file, without making it blocking as Fd does.
func rawFd(f *os.File) int {
	n := -1
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// oomKills reads how many processes of a cgroup the kernel killed for lack of memory.
func oomKills(dirs []string) int {
	for _, d := range dirs {
		for _, name := range []string{"memory.events", "memory.oom_control"} {
			data, err := os.ReadFile(filepath.Join(d, name))
			if err != nil {
				continue
			}
			for _, line := range strings.Split(string(data), "\n") {
				if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
					n, _ := strconv.Atoi(v)
					return n
				}
			}
		}
	}
	return 0
}
