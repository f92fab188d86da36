package local

import (
	"context"
	"sync"

	"github.com/dhow-project/dhow/internal/engine"
)

// backlog is how far a reader may fall behind before it has to list again.
const backlog = 4096

// broadcaster hands every event to every reader without ever waiting for one.
type broadcaster struct {
	mu     sync.Mutex
	next   int
	subs   map[int]*subscription
	closed bool
}

type subscription struct {
	mu     sync.Mutex
	queue  []engine.Event
	signal chan struct{} // has one place
}

func (b *broadcaster) send(e engine.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		s.push(e)
	}
}

func (s *subscription) push(e engine.Event) {
	s.mu.Lock()
	if len(s.queue) >= backlog {
		s.queue = []engine.Event{{Type: engine.Lost, Time: e.Time}}
	}
	s.queue = append(s.queue, e)
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

func (s *subscription) take() []engine.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue
	s.queue = nil
	return q
}

func (b *broadcaster) subscribe(ctx context.Context) <-chan engine.Event {
	s, out := &subscription{signal: make(chan struct{}, 1)}, make(chan engine.Event)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(out)
		return out
	}
	if b.subs == nil {
		b.subs = map[int]*subscription{}
	}
	id := b.next
	b.next++
	b.subs[id] = s
	go func() {
		defer close(out)
		defer b.drop(id)
		for {
			select {
			case <-ctx.Done():
				return
			case _, open := <-s.signal:
				if !open {
					return
				}
			}
			for _, e := range s.take() {
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

func (b *broadcaster) drop(id int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subs, id)
}

// close ends all readers.
func (b *broadcaster) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	for _, s := range b.subs {
		close(s.signal)
	}
	b.subs = nil
}
