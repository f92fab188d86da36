package server

import (
	"os"
	"sync"

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
	f    *os.File
	done func() // called once when it is dropped
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
	for _, s := range p.sinks {
		s.done()
	}
	p.sinks = nil
}

// deliver waits for slow attached readers: a container's output is never dropped.
func (p *pump) deliver(b []byte) {
	if err := p.s.write(b); err != nil {
		p.onError(err)
	}
	kept := p.sinks[:0]
	for _, s := range p.sinks {
		if _, err := s.f.Write(b); err != nil {
			s.done()
			continue
		}
		kept = append(kept, s)
	}
	p.sinks = kept
}

// join attaches an output; false when there is nothing to come.
func (p *pump) join(s *sink) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.sinks = append(p.sinks, s)
	return true
}
