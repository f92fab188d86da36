package apiserver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/fault"
)

const bookmarkEvery = time.Minute

// watching is one running watch, before encoding.
type watching struct {
	filter    *filter
	cursor    *cache.Cursor
	initial   []*cache.Entry // still to be sent as ADDED
	bookmark  bool           // one is owed that ends the initial events
	bookmarks bool           // allowed at all
	revision  int64
}

// delivery is one event of a watch. Entry is nil for a bookmark.
type delivery struct {
	typ      string
	entry    *cache.Entry
	revision int64 // of a bookmark
	initial  bool  // the bookmark that ends the initial events
}

// watch opens a watch as the options say.
func (s *Server) watch(c *call, o metav1.ListOptions) (*watching, error) {
	f, err := newFilter(c.kind, c.version, c.namespace, c.name, o.LabelSelector, o.FieldSelector)
	if err != nil {
		return nil, err
	}
	w := &watching{filter: f, bookmarks: o.AllowWatchBookmarks}
	initial := o.SendInitialEvents != nil && *o.SendInitialEvents
	if err := checkWatch(o); err != nil {
		return nil, err
	}
	switch {
	case initial || o.SendInitialEvents == nil && (o.ResourceVersion == "" || o.ResourceVersion == "0"):
		if err := s.fresh(c, o.ResourceVersion); err != nil {
			return nil, err
		}
		var tree *cache.Tree
		if w.cursor, tree, w.revision, err = s.cache.WatchNow(c.kind, c.namespace); err != nil {
			return nil, notFoundPath()
		}
		cache.Range(tree, c.namespace, "", func(e *cache.Entry) bool {
			if f.match(e) {
				w.initial = append(w.initial, e)
			}
			return true
		})
		w.bookmark = initial && o.AllowWatchBookmarks
	case o.ResourceVersion == "" || o.ResourceVersion == "0":
		if w.cursor, _, w.revision, err = s.cache.WatchNow(c.kind, c.namespace); err != nil {
			return nil, notFoundPath()
		}
	default:
		rev, err := parseRevision(o.ResourceVersion)
		if err != nil {
			return nil, err
		}
		w.revision = rev
		if w.cursor, err = s.cache.Watch(c.kind, c.namespace, rev); errors.Is(err, cache.ErrEnded) {
			return nil, notFoundPath()
		} else if err != nil {
			return nil, apierrors.NewResourceExpired(err.Error())
		}
	}
	return w, nil
}

func checkWatch(o metav1.ListOptions) error {
	if o.SendInitialEvents == nil {
		if o.ResourceVersionMatch != "" {
			return badListOption("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
		}
		return nil
	}
	if o.ResourceVersionMatch != metav1.ResourceVersionMatchNotOlderThan {
		return badListOption("resourceVersionMatch", "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
	}
	return nil
}

func (w *watching) close() { w.cursor.Close() }

// ready returns what can be delivered now, perhaps nothing.
func (w *watching) ready() ([]delivery, error) {
	var out []delivery
	for _, e := range w.initial {
		out = append(out, delivery{typ: client.Added, entry: e})
	}
	w.initial = nil
	if w.bookmark {
		w.bookmark = false
		out = append(out, delivery{typ: client.Bookmark, revision: w.revision, initial: true})
	}
	evs, rev, err := w.cursor.Take()
	if err != nil {
		if len(out) > 0 {
			return out, nil
		}
		if errors.Is(err, cache.ErrEnded) {
			return nil, err
		}
		return nil, apierrors.NewResourceExpired(err.Error())
	}
	for _, ev := range evs {
		if ev.Entry.Revision <= w.revision {
			continue // a resourceVersion from the future
		}
		if d, ok := w.filter.transition(ev); ok {
			out = append(out, d)
		}
	}
	w.revision = max(w.revision, rev)
	return out, nil
}

// transition is what a change means to somebody who sees only what the filter selects.
func (f *filter) transition(ev *cache.Event) (delivery, bool) {
	before := ev.Old != nil && f.match(ev.Old)
	after := ev.Type != cache.Deleted && f.match(ev.Entry)
	switch {
	case before && after:
		return delivery{typ: client.Modified, entry: ev.Entry}, true
	case after:
		return delivery{typ: client.Added, entry: ev.Entry}, true
	case before && ev.Type == cache.Deleted:
		return delivery{typ: client.Deleted, entry: ev.Entry}, true
	case before:
		return delivery{typ: client.Deleted, entry: ev.Old.At(ev.Entry.Revision)}, true
	}
	return delivery{}, false
}

// next blocks for something to deliver.
func (w *watching) next(ctx context.Context, ended <-chan struct{}) ([]delivery, error) {
	for {
		out, err := w.ready()
		if err != nil || len(out) > 0 {
			return out, err
		}
		select {
		case <-w.cursor.Wake():
		case <-ended:
			return nil, apierrors.NewServiceUnavailable("the API server is stopping")
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func bookmarkObject(v api.Version, d delivery) api.Object {
	obj := v.New()
	obj.SetResourceVersion(strconv.FormatInt(d.revision, 10))
	if d.initial {
		obj.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return obj
}

func (s *Server) serveWatch(w http.ResponseWriter, r *http.Request, q url.Values, c *call) {
	err := s.streamWatch(w, r, q, c)
	if err != nil {
		s.fail(w, r, err)
	}
}

// streamWatch returns errors only while nothing was sent.
func (s *Server) streamWatch(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	if !s.allowed(c) || c.subresource != "" {
		return methodNotAllowed()
	}
	o, err := c.negotiate(r, q, "Table", "PartialObjectMetadata")
	if err != nil {
		return err
	}
	if o.format == codec.YAML {
		return notAcceptable()
	}
	lo, err := listOptions(q)
	if err != nil {
		return err
	}
	wt, err := s.watch(c, lo)
	expired := apierrors.IsResourceExpired(err)
	if err != nil && !expired {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), watchTimeout(lo, rand.Float64))
	defer cancel()
	st := &watchStream{s: s, c: c, o: o, w: w, flush: http.NewResponseController(w), columns: true}
	h := w.Header()
	h.Set("Content-Type", watchType(o.format))
	w.WriteHeader(http.StatusOK)
	if expired {
		st.fail(err)
		return nil
	}
	defer wt.close()
	st.flush.Flush()
	st.run(ctx, wt)
	return nil
}

func watchType(f codec.Format) string {
	if f == codec.Protobuf {
		return codec.TypeProtobuf + ";stream=watch"
	}
	return f.String()
}

// watchStream encodes one watch onto a connection.
type watchStream struct {
	s       *Server
	c       *call
	o       output
	w       http.ResponseWriter
	flush   *http.ResponseController
	buf     []byte
	columns bool // a Table watch sends its columns once
}

func (st *watchStream) run(ctx context.Context, wt *watching) {
	tick := time.NewTicker(bookmarkEvery)
	defer tick.Stop()
	if !wt.bookmarks {
		tick.Stop()
	}
	sent := int64(0)
	for {
		evs, err := wt.ready()
		if errors.Is(err, cache.ErrEnded) {
			return
		}
		if err != nil {
			st.fail(err)
			return
		}
		if len(evs) > 0 {
			if st.send(evs) != nil {
				return
			}
			continue
		}
		select {
		case <-wt.cursor.Wake():
		case <-tick.C:
			if wt.revision > sent {
				sent = wt.revision
				if st.send([]delivery{{typ: client.Bookmark, revision: wt.revision}}) != nil {
					return
				}
			}
		case <-st.s.ended:
			return
		case <-ctx.Done():
			if wt.bookmarks && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				st.send([]delivery{{typ: client.Bookmark, revision: wt.revision}})
			}
			return
		}
	}
}

func (st *watchStream) send(evs []delivery) error {
	for _, d := range evs {
		if err := st.append(d); err != nil {
			st.fail(err)
			return err
		}
		if len(st.buf) > 32<<10 {
			if err := st.write(); err != nil {
				return err
			}
		}
	}
	if err := st.write(); err != nil {
		return err
	}
	return st.flush.Flush()
}

func (st *watchStream) write() error {
	_, err := st.w.Write(st.buf)
	if st.buf = st.buf[:0]; cap(st.buf) > 256<<10 {
		st.buf = nil
	}
	return err
}

func (st *watchStream) append(d delivery) error {
	c, f := st.c, st.o.format
	e := d.entry
	if e == nil {
		obj := bookmarkObject(c.ver(), d)
		if st.o.as == "" {
			body, err := codec.Body(f, obj)
			if err != nil {
				return err
			}
			st.buf = codec.AppendEvent(st.buf, f, d.typ, c.gvk(), body)
			return nil
		}
		e = cache.NewEntry(c.kind, "", obj, d.revision)
	}
	gvk, obj, body, err := st.render(d, e)
	if err == nil && obj != nil {
		body, err = codec.Body(f, obj)
	}
	if err != nil {
		return err
	}
	st.buf = codec.AppendEvent(st.buf, f, d.typ, gvk, body)
	return nil
}

// fail ends the stream with an ERROR event.
func (st *watchStream) fail(err error) {
	if fault.Is(err, fault.Gone) {
		err = apierrors.NewResourceExpired(err.Error())
	}
	body, berr := codec.Body(st.o.format, statusOf(err))
	if berr != nil {
		return
	}
	st.w.Write(codec.AppendEvent(nil, st.o.format, "ERROR", statusKind, body))
	st.flush.Flush()
}
