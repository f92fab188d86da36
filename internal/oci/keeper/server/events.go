package server

import (
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
)

func now() time.Time { return time.Now() }

// reader is a client that wants events. Its queue holds at most one event a container
// beyond what was sent: a later state of the same container replaces an earlier one that waits.
type reader struct {
	mu    sync.Mutex
	queue []proto.Event
	wake  chan struct{}
}

func (r *reader) push(e proto.Event) {
	r.mu.Lock()
	for i := range r.queue {
		if r.queue[i].State.ID == e.State.ID {
			r.queue = append(r.queue[:i], r.queue[i+1:]...)
			break
		}
	}
	r.queue = append(r.queue, e)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reader) take() []proto.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queue
	r.queue = nil
	return q
}

// publish makes a state durable and tells everybody.
func (s *Server) publish(st proto.State) {
	if err := s.remember(st); err != nil {
		s.log.Error("cannot remember the state of a container", "container", st.ID, "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	for r := range s.readers {
		r.push(proto.Event{Seq: s.seq, State: st})
	}
}

// events begins with the state of every container, so that a client that
// connects again has missed nothing that still matters.
func (s *Server) events(c *call) {
	r := &reader{wake: make(chan struct{}, 1)}
	s.mu.Lock()
	s.readers[r] = true
	s.mu.Unlock()
	for _, st := range s.list() {
		r.push(proto.Event{State: st})
	}
	done := make(chan struct{})
	go func() {
		// The client never sends more: this ends when it hangs up.
		_, _ = c.conn.Read(make([]byte, 1))
		close(done)
	}()
	defer func() {
		s.mu.Lock()
		delete(s.readers, r)
		s.mu.Unlock()
		c.close()
		<-done
	}()
	if proto.Write(c.conn, &proto.Reply{}) != nil {
		return
	}
	for {
		for _, e := range r.take() {
			if proto.Write(c.conn, &proto.Reply{Event: &e}) != nil {
				return
			}
		}
		select {
		case <-r.wake:
		case <-done:
			return
		case <-s.ctx.Done():
			return
		}
	}
}
