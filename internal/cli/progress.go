package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

// bars shows layers on their way: one line each that is redrawn on a terminal, one line
// for each that is finished elsewhere. It is safe for concurrent use.
type bars struct {
	w     io.Writer
	quiet bool
	live  bool

	mu     sync.Mutex
	layers []engine.Progress // in order of appearance
	drawn  int
	last   time.Time
}

func newBars(w io.Writer, quiet bool) *bars {
	return &bars{w: w, quiet: quiet, live: isTerminal(w)}
}

func (b *bars) layer(p engine.Progress) {
	if b.quiet {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := b.set(p)
	switch {
	case !b.live && changed && (p.Status == "done" || p.Status == "exists"):
		fmt.Fprintf(b.w, "%s: %s\n", short(p.Layer), p.Status)
	case b.live && (changed || time.Since(b.last) > 50*time.Millisecond):
		b.draw()
	}
}

func (b *bars) set(p engine.Progress) (changed bool) {
	for i := range b.layers {
		if b.layers[i].Layer == p.Layer {
			changed = b.layers[i].Status != p.Status
			b.layers[i] = p
			return changed
		}
	}
	b.layers = append(b.layers, p)
	return true
}

func (b *bars) draw() {
	var out strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", b.drawn)
	}
	for _, l := range b.layers {
		fmt.Fprintf(&out, "\x1b[2K%s %-12s %s\n", short(l.Layer), l.Status, bar(l.Done, l.Total))
	}
	b.drawn, b.last = len(b.layers), time.Now()
	io.WriteString(b.w, out.String())
}

func bar(done, total int64) string {
	if total <= 0 {
		if done <= 0 {
			return ""
		}
		return size(done)
	}
	const width = 30
	n := int(min(done, total) * width / total)
	return fmt.Sprintf("[%s%s] %s/%s", strings.Repeat("=", n), strings.Repeat(" ", width-n), size(done), size(total))
}

func (b *bars) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live && !b.quiet && len(b.layers) > 0 {
		b.draw()
	}
}
