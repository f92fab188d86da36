// Package registry serves an image store over the OCI distribution API v2: what was
// built or pulled can be pulled, what is pushed can run at once.
//
// It must not know how images are stored. Paths are taken apart here; manifests.go,
// blobs.go and uploads.go answer.
package registry

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Options of the handler.
type Options struct {
	// Name is the registry under which pushed images are filed; "" is the Host header of each request.
	Name     string
	ReadOnly bool
	// PullThrough fetches what is asked for with ?ns=<registry>, as containerd asks a mirror, and is not here.
	PullThrough bool
}

type handler struct {
	s       *image.Store
	o       Options
	uploads uploads
}

// Handler serves s below /v2/. Who may call is decided in front of it.
func Handler(s *image.Store, o Options) http.Handler {
	return &handler{s: s, o: o, uploads: newUploads(s)}
}

// call is one request taken apart.
type call struct {
	*handler
	w    http.ResponseWriter
	r    *http.Request
	repo string // as in the path
	rest string // what follows the kind: a tag, a digest, an upload's id
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if err := h.route(w, r); err != nil {
		fail(w, r, err)
	}
}

// kinds are looked for in this order: an upload's path contains a blob's.
func (h *handler) route(w http.ResponseWriter, r *http.Request) error {
	p, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	switch {
	case r.URL.Path == "/v2" || ok && p == "":
		_, err := w.Write([]byte("{}"))
		return err
	case !ok:
		return apiError{http.StatusNotFound, "NOT_FOUND", "this is a registry: its API is below /v2/"}
	case p == "_catalog":
		return h.catalog(w, r)
	}
	for _, k := range []struct {
		sep   string
		serve func(*call) error
	}{
		{"/blobs/uploads/", (*call).upload},
		{"/blobs/", (*call).blob},
		{"/manifests/", (*call).manifest},
		{"/referrers/", (*call).referrers},
		{"/tags/list", (*call).tags},
	} {
		i := strings.LastIndex(p, k.sep)
		if i < 0 {
			continue
		}
		c := &call{h, w, r, p[:i], p[i+len(k.sep):]}
		if _, err := c.ref(c.registry(), ""); err != nil {
			return apiError{http.StatusBadRequest, "NAME_INVALID", err.Error()}
		}
		if h.o.ReadOnly && r.Method != http.MethodGet && r.Method != http.MethodHead {
			return errMethod
		}
		return k.serve(c)
	}
	if strings.HasSuffix(p, "/blobs/uploads") {
		return (&call{h, w, r, strings.TrimSuffix(p, "/blobs/uploads"), ""}).upload()
	}
	return apiError{http.StatusNotFound, "NOT_FOUND", "there is no such path in the distribution API"}
}

// registry is where pushes go and reads look first.
func (c *call) registry() string {
	if ns := c.r.URL.Query().Get("ns"); ns != "" {
		return ns
	}
	if c.o.Name != "" {
		return c.o.Name
	}
	return c.r.Host
}

// places to look for a repository: where the request points, and docker.io, whose names people leave out.
func (c *call) places() []string {
	l := []string{c.registry()}
	if c.r.URL.Query().Get("ns") == "" {
		l = append(l, image.DefaultRegistry)
	}
	return l
}

// ref makes a reference in a registry; what is a tag, a digest, or empty.
func (c *call) ref(registry, what string) (image.Ref, error) {
	s := registry + "/" + c.repo
	switch {
	case strings.Contains(what, ":"):
		s += "@" + what
	case what != "":
		s += ":" + what
	}
	return image.ParseRef(s)
}

// apiError is an error as the distribution spec words it.
type apiError struct {
	status  int
	code    string
	message string
}

func (e apiError) Error() string { return e.message }

var errMethod = apiError{http.StatusMethodNotAllowed, "UNSUPPORTED", "the operation is not supported"}

// fail answers with the spec's error body. kinds of faults have one status each.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	e := apiError{http.StatusInternalServerError, "UNKNOWN", err.Error()}
	var given apiError
	switch {
	case errors.As(err, &given):
		e = given
	case fault.Is(err, fault.NotFound):
		e.status, e.code = http.StatusNotFound, "NAME_UNKNOWN"
	case fault.Is(err, fault.Invalid):
		e.status, e.code = http.StatusBadRequest, "MANIFEST_INVALID"
	case fault.Is(err, fault.Denied):
		e.status, e.code = http.StatusForbidden, "DENIED"
	case fault.Is(err, fault.Exhausted):
		e.status, e.code = http.StatusInsufficientStorage, "TOOMANYREQUESTS"
	case fault.Is(err, fault.Unavailable):
		e.status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	if r.Method == http.MethodHead {
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": e.code, "message": e.message}}})
}
