// Package fake is an engine without a kernel: containers are entries in a map
// that run until told otherwise, or until their little script says so.
//
// It passes enginetest like the real engine, so a node, a cluster of a thousand
// nodes, or a test can run on it. Read process.go for what commands it understands.
package fake

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
)

// Engine is an engine.Engine in memory. Use New. The exported fields may be set before its first use.
type Engine struct {
	// PullTime is how long a pull takes.
	PullTime time.Duration
	// PullError decides the outcome of a pull; nil means every image can be pulled.
	PullError func(ref string) error
	// Scripts maps an image ref to what its containers do when they have no command.
	Scripts map[string][]string
	// Clock gives the time; nil is time.Now.
	Clock func() time.Time

	mu         sync.Mutex
	seq        atomic.Uint64
	images     map[string]*engine.Image // by id
	tags       map[string]string        // ref → id
	sandboxes  map[string]*engine.Sandbox
	containers map[string]*container
	subs       map[*subscriber]bool
	pulls      int
	nextIP     uint32
	closed     bool
}

var _ engine.Engine = (*Engine)(nil)

// New makes an empty engine.
func New() *Engine {
	return &Engine{
		images:     map[string]*engine.Image{},
		tags:       map[string]string{},
		sandboxes:  map[string]*engine.Sandbox{},
		containers: map[string]*container{},
		subs:       map[*subscriber]bool{},
	}
}

func (e *Engine) now() time.Time {
	if e.Clock != nil {
		return e.Clock()
	}
	return time.Now()
}

func (e *Engine) id(prefix string) string { return fmt.Sprintf("%s%012x", prefix, e.seq.Add(1)) }

// Info says that all is well.
func (e *Engine) Info(context.Context) (engine.Info, error) {
	return engine.Info{Name: "fake", Version: "1", CgroupV2: true, ImageDir: "/"}, nil
}

// Close ends subscriptions; containers stay, as they would on a machine.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for s := range e.subs {
		s.close()
		delete(e.subs, s)
	}
	return nil
}
