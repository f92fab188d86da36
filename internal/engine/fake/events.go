package fake

import (
	"context"
	"sync"

	"github.com/dhow-project/dhow/internal/engine"
)

const maxBehind = 4096

// subscriber queues events for one reader; a reader too far behind gets Lost.
type subscriber struct {
	mu     sync.Mutex
	queue  []engine.Event
	lost   bool
	closed bool
	wake   chan struct{}
}

func (s *subscriber) push(ev engine.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.lost, s.closed:
		return
	case len(s.queue) >= maxBehind:
		s.queue, s.lost = append(s.queue[:0:0], engine.Event{Type: engine.Lost, Time: ev.Time}), true
	default:
		s.queue = append(s.queue, ev)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscriber) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.wake)
	}
}

func (s *subscriber) take() []engine.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue
	s.queue, s.lost = nil, false
	return q
}

// Events implements engine.Engine.
func (e *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	s := &subscriber{wake: make(chan struct{}, 1)}
	e.mu.Lock()
	e.subs[s] = true
	e.mu.Unlock()
	out := make(chan engine.Event)
	go func() {
		defer close(out)
		defer func() {
			e.mu.Lock()
			delete(e.subs, s)
			e.mu.Unlock()
		}()
		for {
			for _, ev := range s.take() {
				select {
				case out <- ev:
				case <-ctx.Done():
					return
				}
			}
			select {
			case _, ok := <-s.wake:
				if !ok {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// emit tells all readers; e.mu is held, which keeps the order.
func (e *Engine) emit(kind, sandbox, container string) {
	ev := engine.Event{Type: kind, SandboxID: sandbox, Container: container, Time: e.now()}
	for s := range e.subs {
		s.push(ev)
	}
}
