// Package history remembers the latest events of a store and feeds watches from them.
//
// It is a bounded ring in memory, shared by every store that keeps only the latest
// value of each key. A watch is a position in the ring: it costs nothing until
// read and can never be ahead of, or miss, what was appended.
package history

import (
	"context"
	"strings"
	"sync"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Bounds of what is remembered for watches that have not read it yet: whichever is reached first drops the oldest event.
const (
	maxEvents = 16384
	maxBytes  = 32 << 20
)

// Bounds of what is remembered when every watch has read it, for one that resumes.
const (
	keepEvents = 512
	keepBytes  = 1 << 20
)

// Log is safe for concurrent use. Use New.
type Log struct {
	mu     sync.Mutex
	ring   []store.Event // ring[i] has revision first+i, since every write has its own
	first  int64         // revision of ring[0]; last+1 when empty
	bytes  int
	err    error // set by Close
	open   map[*watch]struct{}
	signal chan struct{} // closed and replaced at every change
}

// New makes a log that knows nothing before or at revision.
func New(revision int64) *Log {
	return &Log{first: revision + 1, open: map[*watch]struct{}{}, signal: make(chan struct{})}
}

// Last is the revision of the newest event.
func (l *Log) Last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last()
}

func (l *Log) last() int64 { return l.first + int64(len(l.ring)) - 1 }

// Append adds events whose revisions follow the last one's without a gap.
func (l *Log) Append(events ...store.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		l.ring = append(l.ring, e)
		l.bytes += size(e)
	}
	drop := 0
	for len(l.ring)-drop > maxEvents || l.bytes > maxBytes && len(l.ring)-drop > 1 {
		l.bytes -= size(l.ring[drop])
		drop++
	}
	l.drop(drop)
	l.wake()
}

// drop forgets the n oldest events, whose bytes are subtracted already.
func (l *Log) drop(n int) {
	if n == 0 {
		return
	}
	clear(l.ring[:n])
	if l.ring = l.ring[n:]; len(l.ring) <= keepEvents {
		l.ring = append(make([]store.Event, 0, 2*keepEvents), l.ring...) // do not keep the array of a load that is over
	}
	l.first += int64(n)
}

// forget drops what every open watch has read, but for the latest.
func (l *Log) forget() {
	if len(l.ring) <= 2*keepEvents && l.bytes <= 2*keepBytes || len(l.open) == 0 {
		return
	}
	read := l.last() + 1
	for w := range l.open {
		read = min(read, w.next)
	}
	n := 0
	for l.first+int64(n) < read && (len(l.ring)-n > keepEvents || l.bytes > keepBytes) {
		l.bytes -= size(l.ring[n])
		n++
	}
	l.drop(n)
}

func size(e store.Event) int {
	return len(e.Entry.Key) + len(e.Entry.Value) + len(e.Previous) + 96
}

// Close ends all watches with err, now and later ones.
func (l *Log) Close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		l.wake()
	}
}

func (l *Log) wake() {
	close(l.signal)
	l.signal = make(chan struct{})
}

// Watch is store.Store's Watch.
func (l *Log) Watch(ctx context.Context, prefix string, after int64) (store.Watch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	if after > l.last() {
		return nil, fault.New(fault.Gone, "watch %q after revision %d: the store is at %d", prefix, after, l.last())
	}
	if after+1 < l.first {
		return nil, gone(prefix, after, l.first)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{log: l, ctx: ctx, cancel: cancel, prefix: prefix, next: after + 1}
	l.open[w] = struct{}{}
	context.AfterFunc(ctx, w.leave)
	return w, nil
}

func gone(prefix string, after, first int64) error {
	return fault.New(fault.Gone, "watch %q after revision %d: remembered is from %d on", prefix, after, first)
}

type watch struct {
	log    *Log
	ctx    context.Context
	cancel context.CancelFunc
	prefix string
	next   int64 // revision to look at next
	err    error
}

func (w *watch) Close() {
	w.cancel()
	w.leave()
}

// leave makes the log forget without waiting for w.
func (w *watch) leave() {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	delete(w.log.open, w)
}

func (w *watch) Next() ([]store.Event, error) {
	for w.err == nil {
		if w.err = w.ctx.Err(); w.err != nil {
			break
		}
		events, signal, err := w.take()
		if err != nil {
			w.err = err
			break
		}
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-signal:
		case <-w.ctx.Done():
		}
	}
	w.cancel()
	return nil, w.err
}

// take returns what is ready, or the signal to wait for.
func (w *watch) take() ([]store.Event, <-chan struct{}, error) {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.next < l.first {
		return nil, nil, gone(w.prefix, w.next-1, l.first)
	}
	var out []store.Event
	for _, e := range l.ring[w.next-l.first:] {
		if strings.HasPrefix(e.Entry.Key, w.prefix) {
			out = append(out, e)
		}
	}
	w.next = l.last() + 1
	l.forget()
	if len(out) == 0 && l.err != nil {
		return nil, nil, l.err
	}
	return out, l.signal, nil
}
