package controller

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/run"
)

const workers = 5

// Loop calls a sync function for keys that changed, again with backoff when it fails or panics. Keys of one loop
// are synced in parallel, one key never twice at a time. Use NewLoop.
type Loop struct {
	*client.Queue[Key]
	Name     string
	Workers  int
	caches   *client.Caches
	log      *slog.Logger
	recorder *client.Recorder
	sync     func(context.Context, Key) error
}

// NewLoop makes a loop named as upstream names the controller ("replicaset-controller").
func NewLoop(d Deps, name string, sync func(context.Context, Key) error) *Loop {
	return &Loop{
		Queue: client.NewQueue[Key](), Name: name, Workers: workers, caches: d.Caches,
		log: d.Log.With("controller", name), recorder: d.Recorder.As(name), sync: sync,
	}
}

// Event records an Event under the loop's name.
func (l *Loop) Event(obj api.Object, kind, reason, format string, args ...any) {
	l.recorder.Event(obj, kind, reason, format, args...)
}

// Log is the loop's logger.
func (l *Loop) Log() *slog.Logger { return l.log }

// AddObject adds obj's key.
func (l *Loop) AddObject(obj api.Object) { l.Add(KeyOf(obj)) }

// KeyOf is an object's namespace and name.
func KeyOf(obj api.Object) Key { return Key{Namespace: obj.GetNamespace(), Name: obj.GetName()} }

// Run works until ctx ends. It starts once all caches are filled.
func (l *Loop) Run(ctx context.Context) error {
	if err := l.caches.WaitSynced(ctx); err != nil {
		return nil // ctx ended first
	}
	g := run.New(ctx)
	for range l.Workers {
		g.Go(l.Name, l.work)
	}
	err := g.Wait()
	l.Close()
	return err
}

func (l *Loop) work(ctx context.Context) error {
	for {
		k, ok := l.Get(ctx)
		if !ok {
			return nil
		}
		l.once(ctx, k)
		l.Done(k)
	}
}

func (l *Loop) once(ctx context.Context, k Key) {
	err := l.guarded(ctx, k)
	switch {
	case err == nil:
		l.Forget(k)
		return
	case ctx.Err() != nil:
		return
	case apierrors.IsConflict(err):
		l.log.Debug("sync again", "key", k, "err", err)
	default:
		l.log.Warn("sync failed", "key", k, "err", err)
	}
	l.Retry(k)
}

func (l *Loop) guarded(ctx context.Context, k Key) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return l.sync(ctx, k)
}

// Changed makes the loop sync every object of a cache that changes. Call before Run.
func Changed[T api.Object](l *Loop, c client.Cache[T]) {
	c.Subscribe(func(old, obj T) {
		if !isNil(obj) {
			l.AddObject(obj)
			return
		}
		l.AddObject(old)
	})
}

// ChangedChild makes the loop sync the controller, of the kind, of every object of a cache that changes. Call before Run.
func ChangedChild[T api.Object](l *Loop, c client.Cache[T], owner schema.GroupKind) {
	c.Subscribe(func(old, obj T) {
		for _, o := range []T{old, obj} {
			if isNil(o) {
				continue
			}
			if k, ok := OwnerKey(o, owner); ok {
				l.Add(k)
			}
		}
	})
}

// isNil is whether o is a nil pointer in an interface.
func isNil[T api.Object](o T) bool {
	var zero T
	return any(o) == any(zero)
}
