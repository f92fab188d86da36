package remote

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
)

// frameMax bounds one event. The server's limit for a request is 3 MiB.
const frameMax = 64 << 20

type watch struct {
	kind   *api.Kind
	body   io.Closer
	cancel context.CancelFunc
	read   *bufio.Reader
	next   func(*metav1.WatchEvent) error
	inner  string // content type of the objects
}

// Watch is client.Conn's.
func (c *Conn) Watch(ctx context.Context, k *api.Kind, namespace string, o metav1.ListOptions) (client.Watch, error) {
	q := listQuery(o)
	q.Set("watch", "true")
	ctx, cancel := context.WithCancel(ctx)
	a, err := c.send(ctx, call{verb: http.MethodGet, kind: k, namespace: namespace, query: q}, protobuf+";stream=watch, "+jsonType+";stream=watch, "+jsonType)
	if err != nil {
		cancel()
		return nil, err
	}
	w := &watch{kind: k, body: a.Body, cancel: cancel, read: bufio.NewReaderSize(a.Body, 32<<10), inner: jsonType}
	if isProtobuf(a.Header.Get("Content-Type")) {
		w.next, w.inner = w.frame, protobuf
		return w, nil
	}
	d := json.NewDecoder(w.read)
	w.next = func(e *metav1.WatchEvent) error { return d.Decode(e) }
	return w, nil
}

// Close is client.Watch's.
func (w *watch) Close() {
	w.cancel()
	w.body.Close()
}

// frame reads one length-prefixed event.
func (w *watch) frame(e *metav1.WatchEvent) error {
	var size [4]byte
	if _, err := io.ReadFull(w.read, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > frameMax {
		return fmt.Errorf("an event of %d bytes is too big", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(w.read, b); err != nil {
		return err
	}
	return e.Unmarshal(b)
}

// Next is client.Watch's. It gives one event at a time, and more when they have arrived already.
func (w *watch) Next() ([]client.Event, error) {
	var out []client.Event
	for {
		e, err := w.one()
		if err != nil {
			return nil, err // a caller resumes or lists anew: what came in this call is seen again
		}
		out = append(out, e)
		if w.inner != protobuf || w.read.Buffered() < 4 || len(out) == 256 || !w.whole() {
			return out, nil
		}
	}
}

// whole is whether the next frame can be read without waiting.
func (w *watch) whole() bool {
	b, err := w.read.Peek(4)
	return err == nil && w.read.Buffered() >= 4+int(binary.BigEndian.Uint32(b))
}

func (w *watch) one() (client.Event, error) {
	var e metav1.WatchEvent
	if err := w.next(&e); err != nil {
		return client.Event{}, fmt.Errorf("watch %s: %w", w.kind.Resource, err)
	}
	o := w.kind.Hub().New()
	s, err := decode(w.inner, e.Object.Raw, o)
	switch {
	case err != nil:
		return client.Event{}, fmt.Errorf("watch %s: %w", w.kind.Resource, err)
	case s != nil:
		return client.Event{}, apierrors.FromObject(s)
	}
	return client.Event{Type: e.Type, Object: o}, nil
}
