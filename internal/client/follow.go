package client

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
	listPage   = 500
)

// follower is the state of one view's stream.
//
//	       ┌── expired ──────────────┐
//	       ▼                         │
//	[no version] ── all seen ──► [version] ──┐ stream ends: resume from version
//	                                 ▲───────┘
type follower struct {
	*View
	version  string
	plain    bool // the server cannot send initial events: list instead
	progress bool // something arrived since the stream was opened
}

func (v *View) run(ctx context.Context) error {
	f := follower{View: v}
	wait := firstRetry
	for {
		f.progress = false
		err := f.stream(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			f.version = ""
		}
		if f.progress {
			wait = firstRetry
		}
		v.log.Debug("watch ended", "err", err, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
}

// stream opens one watch and applies it until it ends; it never returns nil.
func (f *follower) stream(ctx context.Context) error {
	if f.version == "" && f.plain {
		if err := f.list(ctx); err != nil {
			return fmt.Errorf("list %s: %w", f.key.kind.Resource, err)
		}
	}
	o := f.key.options()
	o.ResourceVersion = f.version
	initial := f.version == ""
	if initial {
		yes := true
		o.SendInitialEvents = &yes
		o.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
	}
	w, err := f.conn.Watch(ctx, f.key.kind, f.key.namespace, o)
	if err != nil {
		if initial && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err)) {
			f.plain = true
		}
		return fmt.Errorf("watch %s: %w", f.key.kind.Resource, err)
	}
	defer w.Close()
	if initial {
		if err := f.initial(w); err != nil {
			return err
		}
	}
	for {
		events, err := w.Next()
		if err != nil {
			return err
		}
		f.apply(events)
	}
}

func (f *follower) apply(events []Event) {
	for _, e := range events {
		switch e.Type {
		case Added, Modified:
			f.put(e.Object)
		case Deleted:
			f.drop(e.Object.GetNamespace(), e.Object.GetName())
		}
		f.version = e.Object.GetResourceVersion()
		f.progress = true
	}
}

// initial reads what exists up to the bookmark that ends it.
func (f *follower) initial(w Watch) error {
	var all []api.Object
	for {
		events, err := w.Next()
		if err != nil {
			return err
		}
		for i, e := range events {
			switch {
			case e.Type == Bookmark && e.Object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true":
				f.replace(all, e.Object.GetResourceVersion())
				f.apply(events[i+1:])
				return nil
			case e.Type == Added || e.Type == Modified:
				all = append(all, e.Object)
			}
		}
	}
}

func (f *follower) list(ctx context.Context) error {
	var all []api.Object
	o := f.key.options()
	o.AllowWatchBookmarks = false
	o.Limit = listPage
	for {
		l, err := f.conn.List(ctx, f.key.kind, f.key.namespace, o)
		if err != nil {
			return err
		}
		all = append(all, l.Items...)
		if o.Continue = l.Continue; o.Continue == "" {
			f.replace(all, l.ResourceVersion)
			return nil
		}
	}
}

// replace makes the view hold exactly all: what it had beyond that was deleted while nobody looked.
func (f *follower) replace(all []api.Object, version string) {
	gone := f.keys()
	for _, o := range all {
		delete(gone, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()})
		f.put(o)
	}
	for k := range gone {
		f.drop(k.Namespace, k.Name)
	}
	f.version, f.progress = version, true
	f.seen()
}

// seen says that everything that existed has been seen.
func (v *View) seen() {
	select {
	case <-v.synced:
	default:
		close(v.synced)
	}
}
