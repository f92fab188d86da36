package apiserver

import (
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver/cache"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// get finds one object, at least as new as resourceVersion asks.
func (s *Server) get(c *call, resourceVersion string) (*cache.Entry, error) {
	if err := s.fresh(c, resourceVersion); err != nil {
		return nil, err
	}
	e, ok := s.cache.Entry(c.kind, c.namespace, c.name)
	if !ok {
		return nil, apierrors.NewNotFound(c.resource(), c.name)
	}
	return e, nil
}

func (s *Server) serveGet(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	o, err := c.negotiate(r, q, "Table", "PartialObjectMetadata")
	if err != nil {
		return err
	}
	e, err := s.get(c, q.Get("resourceVersion"))
	if err != nil {
		return err
	}
	if c.sub != nil && c.sub.Scale != nil {
		return s.scale(w, r, o, c, e)
	}
	return s.entry(w, r, o, http.StatusOK, c, e)
}

// entry answers with one object as the client wants it.
func (s *Server) entry(w http.ResponseWriter, r *http.Request, o output, code int, c *call, e *cache.Entry) error {
	gvk, obj, body, err := s.render(c, o, e)
	if err != nil {
		return err
	}
	if obj != nil {
		s.object(w, r, o, code, gvk, obj)
		return nil
	}
	f := o.format
	if f == codec.YAML {
		f = codec.JSON
	}
	b := make([]byte, 0, len(body)+len(gvk.Kind)+len(gvk.Group)+64)
	s.bytes(w, r, o, code, codec.AppendWithKind(b, f, gvk, body))
	return nil
}

// render is one object in the form asked for: either an object still to be encoded, or a finished body.
func (s *Server) render(c *call, o output, e *cache.Entry) (schema.GroupVersionKind, runtime.Object, []byte, error) {
	switch o.as {
	case "Table":
		t, err := s.table(c, o, []*cache.Entry{e}, true)
		return metaKind(o, "Table"), t, nil, err
	case "PartialObjectMetadata":
		p, err := partial(c, e)
		return metaKind(o, "PartialObjectMetadata"), p, nil, err
	}
	f := o.format
	if f == codec.YAML {
		f = codec.JSON
	}
	if f == codec.Protobuf && !codec.HasProto(e.Obj) {
		return c.gvk(), nil, nil, notAcceptable()
	}
	body, err := e.Body(c.kind, c.version, f)
	return c.gvk(), nil, body, err
}
