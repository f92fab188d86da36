package apiserver

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

var statusKind = schema.GroupVersionKind{Version: "v1", Kind: "Status"}

// gzipFrom is the size from which an answer is compressed when the client asks, as upstream.
const gzipFrom = 128 << 10

// fail answers with err as a Status.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	st := statusOf(err)
	o, nerr := negotiate(r, url.Values{})
	if nerr != nil {
		o = plain
	}
	h := w.Header()
	if st.Details != nil && st.Details.RetryAfterSeconds > 0 {
		h.Set("Retry-After", strconv.Itoa(int(st.Details.RetryAfterSeconds)))
	}
	h.Set("X-Content-Type-Options", "nosniff")
	s.object(w, r, o, int(st.Code), statusKind, st)
}

// object answers with any object of the kind.
func (s *Server) object(w http.ResponseWriter, r *http.Request, o output, code int, gvk schema.GroupVersionKind, obj runtime.Object) {
	f := o.format
	if f == codec.Protobuf && !codec.HasProto(obj) {
		f = codec.JSON
		o.format = f
	}
	if f == codec.YAML {
		f = codec.JSON
	}
	b, err := codec.Object(f, gvk, obj)
	if err != nil {
		s.Log.Error("encode an answer", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.bytes(w, r, o, code, b)
}

// bytes answers with an encoded object (JSON for YAML), which it finishes and sends.
func (s *Server) bytes(w http.ResponseWriter, r *http.Request, o output, code int, b []byte) {
	switch {
	case o.format == codec.YAML:
		if y, err := yaml.JSONToYAML(b); err == nil {
			b = y
		}
	case o.format == codec.JSON && o.pretty:
		var buf bytes.Buffer
		if json.Indent(&buf, b, "", "  ") == nil {
			b = buf.Bytes()
		}
	case o.format == codec.JSON && (len(b) == 0 || b[len(b)-1] != '\n'):
		b = append(b, '\n')
	}
	s.pieces(w, r, o, code, net.Buffers{b})
}

// pieces sends an encoded object that is in several parts.
func (s *Server) pieces(w http.ResponseWriter, r *http.Request, o output, code int, parts net.Buffers) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	h := w.Header()
	h.Set("Content-Type", o.format.String())
	if r.Method == http.MethodHead {
		w.WriteHeader(code)
		return
	}
	if o.gzip && size > gzipFrom {
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding")
		w.WriteHeader(code)
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		for _, p := range parts {
			if _, err := z.Write(p); err != nil {
				return
			}
		}
		z.Close()
		return
	}
	h.Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(code)
	if len(parts) == 1 {
		w.Write(parts[0])
		return
	}
	writeAll(w, parts)
}

var chunks = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

// writeAll gathers small parts into large writes: fewer TLS records and HTTP/2 frames.
func writeAll(w http.ResponseWriter, parts net.Buffers) {
	bp := chunks.Get().(*[]byte)
	defer chunks.Put(bp)
	buf := (*bp)[:0]
	for _, p := range parts {
		if len(buf)+len(p) > cap(buf) {
			if _, err := w.Write(buf); err != nil {
				return
			}
			buf = buf[:0]
			if len(p) > cap(buf) {
				if _, err := w.Write(p); err != nil {
					return
				}
				continue
			}
		}
		buf = append(buf, p...)
	}
	w.Write(buf)
}

// addWarnings sends texts as Warning headers (RFC 7234 5.5, code 299), each once, bounded as upstream.
func addWarnings(w http.ResponseWriter, texts []string) {
	seen := map[string]bool{}
	total := 0
	for _, t := range texts {
		if t == "" || seen[t] || total+len(t) > 4<<10 {
			continue
		}
		seen[t] = true
		total += len(t)
		w.Header().Add("Warning", `299 - `+quoteWarning(t))
	}
}

func quoteWarning(t string) string {
	t = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, t)
	return `"` + strings.ReplaceAll(strings.ReplaceAll(t, `\`, `\\`), `"`, `\"`) + `"`
}
