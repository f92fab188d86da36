// Package run is the only place that starts goroutines which live.
//
// A Group runs parts until the first one fails or its context ends, and Wait
// returns only when all of them have returned: nothing is left behind.
package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group is a set of goroutines with one lifetime. Use New.
type Group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
}

// New makes a group whose members see a context derived from ctx.
func New(ctx context.Context) *Group {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{ctx: ctx, cancel: cancel}
}

// Context is what the members see; it ends when the group does.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs f. An error or a panic of f ends the whole group; f returning nil
// does not. Errors that only say that the context ended are no failure.
func (g *Group) Go(name string, f func(context.Context) error) {
	g.wg.Go(func() {
		if err := guard(name, func() error { return f(g.ctx) }); err != nil && g.ctx.Err() == nil {
			g.cancel(err)
		}
	})
}

// Stop ends the group without an error.
func (g *Group) Stop() { g.cancel(context.Canceled) }

// Wait blocks until every member has returned and gives the first failure.
func (g *Group) Wait() error {
	g.wg.Wait()
	err := context.Cause(g.ctx)
	g.cancel(context.Canceled)
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func guard(name string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, p, debug.Stack())
		}
	}()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
