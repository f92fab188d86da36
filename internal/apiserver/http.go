package apiserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

const (
	maxBody        = 3 << 20
	requestTimeout = 60 * time.Second
)

// Handler serves the API.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve is the way in: recover, identify, authenticate, impersonate, authorize, pass on, dispatch.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	q := r.URL.Query()
	w.Header().Set("Audit-Id", auditID(r))
	w.Header().Set("Cache-Control", "no-cache, private")
	t := parsePath(r, q)
	user, err := s.authenticate(r)
	if err == nil {
		t.User = user
		err = s.impersonate(r, &t)
	}
	if err == nil {
		err = s.authorize(r.Context(), &t.Attributes)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if s.Aggregator != nil && s.Aggregator.Serve(w, r, t.User) {
		return
	}
	if !t.resource {
		s.serveOther(w, r)
		return
	}
	s.serveResource(w, r, q, &t)
}

func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.Log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	s.fail(w, r, apierrors.NewInternalError(fmt.Errorf("this request caused the server to panic and has been logged: %v", p)))
}

// auditID takes the client's, else makes one; at most 64 bytes as upstream.
func auditID(r *http.Request) string {
	if id := r.Header.Get("Audit-Id"); id != "" && len(id) <= 64 {
		return id
	}
	return newUID()
}

// newUID is a random version 4 UUID.
func newUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, x := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hex[x>>4], hex[x&15])
	}
	return string(out)
}

func (s *Server) authenticate(r *http.Request) (*request.User, error) {
	for _, a := range s.Authenticators {
		u, err := a.Authenticate(r)
		if err != nil {
			s.Log.Info("authentication failed", "remote", r.RemoteAddr, "err", err)
			return nil, apierrors.NewUnauthorized("Unauthorized")
		}
		if u != nil {
			if !u.InGroup("system:authenticated") && !u.InGroup("system:unauthenticated") {
				c := *u
				c.Groups = append(slices.Clone(u.Groups), "system:authenticated")
				u = &c
			}
			return u, nil
		}
	}
	return &request.User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}, nil
}

// serveResource finds the kind and does what the verb says, inside the limits of a request.
func (s *Server) serveResource(w http.ResponseWriter, r *http.Request, q url.Values, t *target) {
	rt, ok := s.catalog.Load().routes[schema.GroupVersion{Group: t.Group, Version: t.Version}][t.Resource]
	if !ok {
		s.serveOther(w, r)
		return
	}
	c := &call{
		ctx: r.Context(), user: t.User, verb: t.Verb, kind: rt.kind, version: rt.version,
		subresource: t.Subresource, namespace: t.Namespace, name: t.Name,
	}
	if c.subresource != "" {
		if c.sub = subresource(c.kind, c.version, c.subresource); c.sub == nil {
			s.fail(w, r, notFoundPath())
			return
		}
	}
	if text := c.ver().Deprecation; text != "" {
		addWarnings(w, []string{text})
	}
	if !c.kind.Namespaced && c.namespace != "" {
		if c.kind.Resource != "namespaces" || c.kind.Hub().Group != "" {
			s.fail(w, r, notFoundPath())
			return
		}
		c.namespace = ""
	}
	if c.verb == "watch" {
		s.serveWatch(w, r, q, c)
		return
	}
	if h := s.connector(c); h != nil {
		err := s.mayConnect(c, r.Method)
		if err == nil {
			r, err = s.admitConnect(c, r, q, t.rest)
		}
		addWarnings(w, c.warnings)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		h(w, r, &Connection{c.user, c.kind, c.subresource, c.namespace, c.name, t.rest, s.cache})
		return
	}
	select {
	case s.inflight <- struct{}{}:
		defer func() { <-s.inflight }()
	default:
		w.Header().Set("Retry-After", "1")
		s.fail(w, r, apierrors.NewTooManyRequests("too many requests, please try again later", 1))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	c.ctx = ctx
	if err := s.dispatch(w, r, q, c); err != nil {
		addWarnings(w, c.warnings)
		s.fail(w, r, err)
	}
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, q url.Values, c *call) error {
	if !s.allowed(c) {
		return methodNotAllowed()
	}
	switch c.verb {
	case "get":
		return s.serveGet(w, r, q, c)
	case "list":
		return s.serveList(w, r, q, c)
	case "create":
		return s.serveCreate(w, r, q, c)
	case "update":
		return s.serveUpdate(w, r, q, c)
	case "patch":
		return s.servePatch(w, r, q, c)
	case "delete":
		return s.serveDelete(w, r, q, c)
	case "deletecollection":
		return s.serveDeleteCollection(w, r, q, c)
	}
	return methodNotAllowed()
}

// allowed: the kind or subresource is served with this verb, on a path of this form.
func (s *Server) allowed(c *call) bool {
	if c.sub != nil {
		return slices.Contains(c.sub.Verbs, c.verb)
	}
	if c.kind.Verbs != nil && !slices.Contains(c.kind.Verbs, c.verb) {
		return false
	}
	switch c.verb {
	case "create":
		return c.name == "" && (!c.kind.Namespaced || c.namespace != "")
	case "get", "update", "patch", "delete":
		return c.name != "" && (!c.kind.Namespaced || c.namespace != "")
	case "deletecollection":
		return !c.kind.Namespaced || c.namespace != ""
	}
	return true
}

func readBody(r *http.Request, w http.ResponseWriter) ([]byte, error) {
	if n := r.ContentLength; n > 0 && n <= maxBody {
		b := make([]byte, n)
		_, err := io.ReadFull(r.Body, b)
		return b, err
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}
