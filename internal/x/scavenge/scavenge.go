// Package scavenge makes the heap follow the load: roomy while there is one, small when it is over.
//
// Go lets the heap grow to twice what lives. For 5 MB that means a collection every 5 MB, a third of what a small
// write costs; of 200 MB it keeps the books of 400 for ever. And Go collects an idle process every two minutes only. Read Run.
package scavenge

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	first = 2 * time.Second  // after the start: what only that needed is not needed any more
	quiet = 20 * time.Second // without a collection: the load is over
	later = 3 * time.Minute  // what a load leaves in histories is old by then
	worth = 3 << 20          // bytes
)

// Run paces collections (unless GOGC is set). It also collects and gives free pages back once there was no collection for a while, if that promises something, and
// once more some minutes later; each time it calls also, for what else is not needed any more. It runs on the end of collections; while nothing is allocated, nothing happens.
//
//	start ── first ──► collected
//	still ── collection ──► waiting ── quiet, and worth it ──► collected ── later ──► collected again ──► still
//	                        ▲   │ collection                       │ collection that tells of another load
//	                        └───┴──────────────────────────────────┘
func Run(ctx context.Context, also func()) error {
	collected := make(chan struct{}, 1)
	notify(ctx, collected)
	p := pacer{fixed: os.Getenv("GOGC") != ""}
	p.follow(read().live)
	timer := time.NewTimer(first)
	defer timer.Stop()
	var last usage
	started, again := false, false // the timer is that of the start; of the second time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
			now := read()
			p.follow(now.live)
			again = again && !now.promises(last) // another load
			if started && !again {
				timer.Reset(quiet)
			}
		case <-timer.C:
			if again || read().promises(last) {
				debug.FreeOSMemory()
				also()
				last = read()
				again = started && !again
				if again {
					timer.Reset(later)
				}
			}
			started = true
		}
	}
}

// A heap may grow by room beyond what lives, and by growth in per cent if that is more; not above growthMax.
const (
	room      = 8 << 20
	growth    = 50
	growthMax = 400
)

// percent is what GOGC should be when so many bytes live.
func percent(live uint64) int { return int(min(max(growth, 100*room/max(live, 1)), growthMax)) }

// pacer sets GOGC when it should be clearly different: that stops the world for a moment.
type pacer struct {
	fixed bool
	set   int
}

func (p *pacer) follow(live uint64) {
	if want := percent(live); !p.fixed && (want > p.set*5/4 || want < p.set*4/5) {
		p.set = want
		debug.SetGCPercent(want)
	}
}

// usage is what the heap holds of the system's memory, and what of that lived after the last collection.
type usage struct{ held, live uint64 }

func read() usage {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(s)
	return usage{held: s[0].Value.Uint64() + s[1].Value.Uint64() + s[2].Value.Uint64(), live: s[3].Value.Uint64()}
}

// promises is whether collecting now gives back something that the last time did not.
func (u usage) promises(last usage) bool {
	return u.held > last.held+worth || u.live+worth < last.live
}

// notify sends after every collection: then the sentinel of the one before is gone.
func notify(ctx context.Context, collected chan<- struct{}) {
	sentinel := new([32]byte)
	runtime.AddCleanup(sentinel, func(struct{}) {
		if ctx.Err() != nil {
			return
		}
		select {
		case collected <- struct{}{}:
		default:
		}
		notify(ctx, collected)
	}, struct{}{})
}
