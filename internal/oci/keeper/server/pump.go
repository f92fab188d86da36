package server

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// pump moves one output of a container to its log and to those attached. The
// descriptor is nonblocking and read in place, so that an upgrade can stop it between two reads by holding mu.
type pump struct {
	mu      sync.Mutex // held from a read until its bytes are delivered
	f       *os.File
	fd      int
	s       stream
	sinks   []*sink
	ended   bool
	onError func(error)
}

// sink is an attached output.
type sink struct {
	f       *os.File
	patient bool // it joined before the start, and is waited for as a terminal would be
}

// stall is how long a container waits for an impatient reader that takes nothing.
const stall = time.Second

// write gives up on a reader that is gone, or stuck. One that is slow but reads is never given up.
func (s *sink) write(b []byte) error {
	for len(b) > 0 {
		if !s.patient {
			_ = s.f.SetWriteDeadline(time.Now().Add(stall))
		}
		n, err := s.f.Write(b)
		b = b[n:]
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}

// run returns when the output has ended.
func (p *pump) run() {
	buf := make([]byte, 32<<10)
	raw, err := p.f.SyscallConn()
	if err == nil {
		more := true
		for more {
			err = raw.Read(func(fd uintptr) bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				n, err := unix.Read(int(fd), buf)
				switch {
				case err == unix.EAGAIN:
					return false
				case err == unix.EINTR:
				case err != nil || n == 0: // EIO is how a terminal ends
					more = false
				default:
					p.deliver(buf[:n])
				}
				return true
			})
			if err != nil {
				break
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if err := p.s.end(); err != nil {
		p.onError(err)
	}
	p.sinks = nil
}

// deliver writes to the log and to those attached.
func (p *pump) deliver(b []byte) {
	if err := p.s.write(b); err != nil {
		p.onError(err)
	}
	kept := p.sinks[:0]
	for _, s := range p.sinks {
		if s.write(b) == nil {
			kept = append(kept, s)
		}
	}
	clear(p.sinks[len(kept):])
	p.sinks = kept
}

// join attaches an output.
func (p *pump) join(s *sink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.sinks = append(p.sinks, s)
	}
}

// leave drops an attached output. A write to it that hangs ends first.
func (p *pump) leave(f *os.File) {
	if f == nil {
		return
	}
	_ = f.SetWriteDeadline(time.Unix(1, 0))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sinks = slices.DeleteFunc(p.sinks, func(s *sink) bool { return s.f == f })
}
