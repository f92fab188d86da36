package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strings"
)

// Media types of the protobuf forms. Clients still ask for the older spelling of them, with "@v1.0".
const (
	v2Proto = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
	v3Proto = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
)

// saltOf makes the default salt: the program file's time and size, which change with every build.
func saltOf(given string) string {
	if given != "" {
		return given
	}
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d-%d", st.ModTime().UnixNano(), st.Size())
}

// hash names the content of a document without building it: it follows from the program, the path and the custom kinds.
func (s *Spec) hash(path string) string {
	s.mu.Lock()
	e, ok := s.extra[path]
	s.mu.Unlock()
	if ok {
		return e.hash
	}
	of := s.salt() + "|" + s.opts.Version + "|" + path
	for _, gv := range s.groupVersions() {
		if path == "v2" || path == pathOf(gv) {
			of += s.revisions(gv)
		}
	}
	sum := sha256.Sum256([]byte(of))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// Index is the body of /openapi/v3: where each document is, with its hash in the address.
func (s *Spec) Index() ([]byte, error) {
	type link struct {
		URL string `json:"serverRelativeURL"`
	}
	paths := map[string]link{}
	add := func(p string) { paths[p] = link{"/openapi/v3/" + p + "?hash=" + s.hash(p)} }
	for _, gv := range s.groupVersions() {
		add(pathOf(gv))
	}
	s.mu.Lock()
	var more []string
	for p := range s.extra {
		more = append(more, p)
	}
	s.mu.Unlock()
	for _, p := range more {
		add(p)
	}
	return json.Marshal(map[string]any{"paths": paths})
}

// ServeHTTP answers /openapi/v2, /openapi/v3 and everything below the latter. Writers of documents compress as they see fit.
func (s *Spec) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case path == "/openapi/v2":
		s.document(w, r, "v2", v2Proto, s.V2, s.V2Proto)
	case path == "/openapi/v3":
		b, err := s.Index()
		send(w, r, "", "application/json", b, err)
	case strings.HasPrefix(path, "/openapi/v3/"):
		p := strings.TrimPrefix(path, "/openapi/v3/")
		if _, ok := s.builder(p); !ok {
			http.NotFound(w, r)
			return
		}
		if asked := r.URL.Query().Get("hash"); asked != "" {
			if have := s.hash(p); asked != have {
				http.Redirect(w, r, "/openapi/v3/"+p+"?hash="+have, http.StatusMovedPermanently)
				return
			}
			w.Header().Set("Cache-Control", "public, immutable, max-age=31536000")
		}
		drop := func(b []byte, _ bool, err error) ([]byte, error) { return b, err }
		s.document(w, r, p, v3Proto,
			func() ([]byte, error) { return drop(s.V3(p)) },
			func() ([]byte, error) { return drop(s.V3Proto(p)) })
	default:
		http.NotFound(w, r)
	}
}

func (s *Spec) document(w http.ResponseWriter, r *http.Request, name, protoType string, text, binary func() ([]byte, error)) {
	w.Header().Add("Vary", "Accept")
	asProto, ok := negotiate(r.Header.Get("Accept"), protoType)
	if !ok {
		http.Error(w, "not acceptable: application/json and "+protoType+" are offered", http.StatusNotAcceptable)
		return
	}
	etag, contentType := s.hash(name), "application/json"
	if asProto {
		etag, contentType, text = etag+"-pb", protoType, binary
	}
	etag = `"` + etag + `"`
	if r.Header.Get("If-None-Match") == etag {
		w.Header().Set("Etag", etag)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b, err := text()
	send(w, r, etag, contentType, b, err)
}

// negotiate picks the form: the first acceptable one that a client names, JSON when it does not care.
func negotiate(accept, protoType string) (asProto, ok bool) {
	if accept == "" {
		return false, true
	}
	for part := range strings.SplitSeq(accept, ",") {
		// The "@" makes these types illegal as media types, so compare before parsing.
		name, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.Replace(name, "@", ".", 1) == protoType {
			return true, true
		}
		if t, _, err := mime.ParseMediaType(part); err == nil && (t == "application/json" || t == "*/*" || t == "application/*") {
			return false, true
		}
	}
	return false, false
}

func send(w http.ResponseWriter, r *http.Request, etag, contentType string, b []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if etag != "" {
		w.Header().Set("Etag", etag)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	if r.Method != http.MethodHead {
		w.Write(b)
	}
}
