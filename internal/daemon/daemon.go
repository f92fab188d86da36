// Package daemon is one cluster's process: it builds the parts in order, lets them
// run, and stops them in reverse.
//
// It holds no logic of its own, only construction and order. Read Run, then parts.go,
// which is the list.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Version of dhow; the linker sets it.
var Version = "dev"

// Run brings a cluster up, reports every step, and lives until ctx ends or a part fails. Containers
// go on running when it returns; nothing else of it does.
func Run(ctx context.Context, c config.Config, step func(config.Step)) (err error) {
	d := &daemon{started: time.Now(), failed: make(chan error, 1), log: newLog(c.LogLevel)}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.settle(c); err != nil {
		return err
	}
	c = d.config
	for _, p := range parts() {
		begin := time.Now()
		note, err := p.up(d, ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			d.aborted = true
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if p.shown {
			step(config.Step{Name: p.name, Took: time.Since(begin), Note: note})
		}
	}
	step(config.Step{Ready: true, Took: time.Since(d.started), Note: d.greeting()})
	select {
	case <-ctx.Done():
		d.log.Info("stop", "cluster", c.Name)
		return nil
	case d.cause = <-d.failed:
		d.log.Error("end", "cluster", c.Name, "error", d.cause)
		return d.cause
	}
}

// part is one thing on the way up. It registers what has to be undone with d.
type part struct {
	name  string
	shown bool // a step worth telling
	up    func(d *daemon, ctx context.Context) (note string, err error)
}

// stop undoes everything, the latest first.
func (d *daemon) stop() error {
	var errs []error
	for i := len(d.undo) - 1; i >= 0; i-- {
		errs = append(errs, d.undo[i]())
	}
	d.undo = nil
	return errors.Join(errs...)
}

func (d *daemon) onStop(f func() error) { d.undo = append(d.undo, f) }

// live runs f until the daemon stops; a failure of f ends the daemon.
func (d *daemon) live(name string, f func(context.Context) error) {
	g := run.New(context.Background())
	done := make(chan error, 1)
	g.Go(name, f)
	go func() {
		err := g.Wait()
		if err != nil {
			select {
			case d.failed <- err:
			default:
			}
		}
		done <- err
	}()
	d.onStop(func() error {
		g.Stop()
		return <-done
	})
}

func newLog(level string) *slog.Logger {
	var l slog.Level
	if l.UnmarshalText([]byte(level)) != nil {
		l = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
	// Libraries of the ecosystem report what is routine to us (a client that went away) as errors.
	klog.SetLogger(logr.FromSlogHandler(quieter{log.Handler()}))
	return log
}

// quieter passes everything on as debugging.
type quieter struct{ slog.Handler }

func (q quieter) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(attrs)}
}
func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.Handler.WithGroup(name)} }
