// Package scavenge gives memory back to the system when a load is over.
//
// Go keeps what a load needed for the next one: it lets the heap grow to twice what lives, and collects an idle
// process every two minutes only. Read Run.
package scavenge

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	quiet = 20 * time.Second // without a collection: the load is over
	later = 3 * time.Minute  // what a load leaves in histories is old by then
	worth = 3 << 20          // bytes
)

// Run collects and gives free pages back once there was no collection for a while, if that promises something, and
// once more some minutes later. It runs on the end of collections; while nothing is allocated, nothing happens.
//
//	still ── collection ──► waiting ── quiet, and worth it ──► collected ── later ──► collected again ──► still
//	                        ▲   │ collection
//	                        └───┘
func Run(ctx context.Context) error {
	collected := make(chan struct{}, 1)
	notify(ctx, collected)
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	var last usage
	again := false // the timer is that of the second time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-collected:
			if !again {
				timer.Reset(quiet)
			}
		case <-timer.C:
			if again || read().promises(last) {
				debug.FreeOSMemory()
				last = read()
				if again = !again; again {
					timer.Reset(later)
				}
			}
		}
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
