package clienttest

import (
	"context"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

type watch struct {
	f      *Fake
	ctx    context.Context
	cancel context.CancelFunc
	kind   *api.Kind
	match  func(api.Object) bool
	first  []client.Event
	after  uint64
}

// Watch is client.Conn's.
func (f *Fake) Watch(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (client.Watch, error) {
	match, err := matcher(k, namespace, o)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &watch{f: f, kind: k, match: match, after: f.version}
	initial := o.SendInitialEvents != nil && *o.SendInitialEvents
	if rv := o.ResourceVersion; rv != "" && rv != "0" && !initial {
		if w.after, err = strconv.ParseUint(rv, 10, 64); err != nil {
			return nil, apierrors.NewBadRequest("invalid resourceVersion " + rv)
		}
		if w.after < f.oldest {
			return nil, apierrors.NewResourceExpired("too old resource version: " + rv)
		}
	}
	if initial {
		w.first = f.initial(k, match)
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w, nil
}

func (f *Fake) initial(k *api.Kind, match func(api.Object) bool) []client.Event {
	var out []client.Event
	for _, obj := range f.objects[k] {
		if match(obj) {
			out = append(out, client.Event{Type: client.Added, Object: obj})
		}
	}
	slices.SortFunc(out, func(a, b client.Event) int {
		return strings.Compare(a.Object.GetNamespace()+"/"+a.Object.GetName(), b.Object.GetNamespace()+"/"+b.Object.GetName())
	})
	mark := k.Hub().New()
	mark.SetResourceVersion(strconv.FormatUint(f.version, 10))
	mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return append(out, client.Event{Type: client.Bookmark, Object: mark})
}

// Close is client.Watch's.
func (w *watch) Close() { w.cancel() }

// Next is client.Watch's.
func (w *watch) Next() ([]client.Event, error) {
	if out := w.first; out != nil {
		w.first = nil
		return out, nil
	}
	for {
		events, changed, err := w.collect()
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			return nil, w.ctx.Err()
		}
	}
}

func (w *watch) collect() ([]client.Event, <-chan struct{}, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, nil, err
	}
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.after < w.f.oldest {
		return nil, nil, apierrors.NewResourceExpired("the history was compacted")
	}
	var out []client.Event
	from, _ := slices.BinarySearchFunc(w.f.log, w.after+1, func(c change, v uint64) int { return int(c.version) - int(v) })
	for _, c := range w.f.log[from:] {
		if c.kind == w.kind {
			out = append(out, w.event(c)...)
		}
	}
	w.after = w.f.version
	return out, w.f.changed, nil
}

// event is what a change means to somebody who sees only what matches.
func (w *watch) event(c change) []client.Event {
	before, after := w.match(c.old), w.match(c.obj)
	switch {
	case before && after:
		return []client.Event{{Type: client.Modified, Object: c.obj}}
	case after:
		return []client.Event{{Type: client.Added, Object: c.obj}}
	case before && c.obj == nil:
		return []client.Event{{Type: client.Deleted, Object: c.old}}
	case before:
		left := c.old.DeepCopyObject().(api.Object)
		left.SetResourceVersion(strconv.FormatUint(c.version, 10))
		return []client.Event{{Type: client.Deleted, Object: left}}
	}
	return nil
}
