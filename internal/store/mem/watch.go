package mem

import (
	"context"
	"strings"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

type watch struct {
	s      *Store
	ctx    context.Context
	cancel context.CancelFunc
	prefix string
	after  int64
	err    error
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) (store.Watch, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, store.Closed()
	}
	if after < s.floor || after > s.revision {
		return nil, gone(after, s.floor, s.revision)
	}
	ctx, cancel := context.WithCancel(ctx)
	return &watch{s: s, ctx: ctx, cancel: cancel, prefix: prefix, after: after}, nil
}

func gone(after, floor, revision int64) error {
	return fault.New(fault.Gone, "watch after revision %d: only %d to %d are remembered", after, floor, revision)
}

// Next implements store.Watch.
func (w *watch) Next() ([]store.Event, error) {
	for w.err == nil {
		evs, wake, err := w.ready()
		if w.err = err; err != nil {
			break
		}
		if len(evs) > 0 {
			return evs, nil
		}
		select {
		case <-w.ctx.Done():
			w.err = context.Cause(w.ctx)
		case <-wake:
		}
	}
	return nil, w.err
}

func (w *watch) ready() ([]store.Event, <-chan struct{}, error) {
	s := w.s
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := context.Cause(w.ctx); err != nil {
		return nil, nil, err
	}
	if s.closed {
		return nil, nil, store.Closed()
	}
	if w.after < s.floor {
		return nil, nil, gone(w.after, s.floor, s.revision)
	}
	var out []store.Event
	for _, ev := range s.events[w.after-s.floor:] { // revisions have no gaps
		if strings.HasPrefix(ev.Entry.Key, w.prefix) {
			out = append(out, ev)
		}
	}
	w.after = s.revision
	return out, s.wake, nil
}

// Close implements store.Watch.
func (w *watch) Close() { w.cancel() }
