package apiserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/cache"
)

// serveOther answers everything that is not a resource.
func (s *Server) serveOther(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if h := s.extra(path); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	switch {
	case path == "/version" || path == "/version/":
		w.Header().Set("Content-Type", "application/json")
		b, _ := json.MarshalIndent(s.Version, "", "  ") // strings only
		w.Write(b)
	case path == "/healthz" || path == "/livez" || path == "/readyz":
		s.serveHealth(w, r, path[1:])
	case s.serveCheck(w, r, path):
	case path == "/":
		s.serveIndex(w)
	case s.serveDiscovery(w, r):
	case strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/apis/"):
		// as upstream's mux answers what no group serves
		http.Error(w, "404 page not found", http.StatusNotFound)
	default:
		s.fail(w, r, notFoundPath())
	}
}

// extra finds a handler of Config.Extra: the exact path, else the longest that ends in "/" and contains it.
func (s *Server) extra(path string) http.Handler {
	if h := s.Extra[path]; h != nil {
		return h
	}
	best := ""
	for p := range s.Extra {
		if strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) && len(p) > len(best) {
			best = p
		}
	}
	return s.Extra[best]
}

func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request, name string) {
	var b strings.Builder
	failed := false
	checks := map[string]func(context.Context) error{"ping": func(context.Context) error { return nil }}
	for n, f := range s.Checks {
		checks[n] = f
	}
	names := make([]string, 0, len(checks))
	for n := range checks {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if slices.Contains(r.URL.Query()["exclude"], n) {
			fmt.Fprintf(&b, "[+]%s excluded: ok\n", n)
		} else if err := checks[n](r.Context()); err != nil {
			failed = true
			fmt.Fprintf(&b, "[-]%s failed: reason withheld\n", n)
			s.Log.Warn("health check failed", "check", n, "err", err)
		} else {
			fmt.Fprintf(&b, "[+]%s ok\n", n)
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case failed:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "%s%s check failed\n", b.String(), name)
	case r.URL.Query().Has("verbose"):
		fmt.Fprintf(w, "%s%s check passed\n", b.String(), name)
	default:
		fmt.Fprint(w, "ok")
	}
}

// serveCheck answers one check by its path, as /livez/ping.
func (s *Server) serveCheck(w http.ResponseWriter, r *http.Request, path string) bool {
	root, name, found := strings.Cut(path[1:], "/")
	if !found || root != "healthz" && root != "livez" && root != "readyz" {
		return false
	}
	f, known := s.Checks[name]
	switch {
	case name == "ping":
		fmt.Fprint(w, "ok")
	case !known:
		return false
	default:
		if err := f(r.Context()); err != nil {
			s.Log.Warn("health check failed", "check", name, "err", err)
			http.Error(w, "internal server error: "+name+" failed", http.StatusInternalServerError)
			return true
		}
		fmt.Fprint(w, "ok")
	}
	return true
}

func (s *Server) serveIndex(w http.ResponseWriter) {
	docs := s.catalog.Load().docs
	paths := []string{"/api", "/apis", "/healthz", "/livez", "/readyz", "/version"}
	for v := range slices.Values(docs.versions[""]) {
		paths = append(paths, "/api/"+v)
	}
	for _, g := range docs.groups {
		paths = append(paths, "/apis/"+g)
		for _, v := range docs.versions[g] {
			paths = append(paths, "/apis/"+g+"/"+v)
		}
	}
	for p := range s.Extra {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	w.Header().Set("Content-Type", "application/json")
	b, _ := json.MarshalIndent(map[string][]string{"paths": paths}, "", "  ") // strings only
	w.Write(b)
}

// storageHash names what a kind is stored as; clients compare it only.
func storageHash(k *api.Kind) string {
	if k.Virtual {
		return ""
	}
	h := sha256.Sum256([]byte(cache.Prefix(k) + k.GroupVersionKind().String()))
	return base64.StdEncoding.EncodeToString(h[:8])
}
