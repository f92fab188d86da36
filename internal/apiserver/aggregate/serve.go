package aggregate

import (
	"errors"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Serve passes a request on when another server serves its group version; false: none does.
func (a *Aggregator) Serve(w http.ResponseWriter, r *http.Request, u *request.User) bool {
	all := *a.remotes.Load()
	if len(all) == 0 {
		return false
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/apis/")
	if !ok {
		return false
	}
	group, rest, _ := strings.Cut(rest, "/")
	version, _, _ := strings.Cut(rest, "/")
	to := all[schema.GroupVersion{Group: group, Version: version}]
	if to == nil {
		return false
	}
	switch {
	case to.broken != nil:
		http.Error(w, to.broken.Error(), http.StatusInternalServerError)
	case !to.available.Load():
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	default:
		a.pass(w, r, u, to)
	}
	return true
}

var errRedirect = errors.New("the backend attempted to redirect this request, which is not permitted")

func (a *Aggregator) pass(w http.ResponseWriter, r *http.Request, u *request.User, to *remote) {
	host, err := a.Resolver.Resolve(to.spec.Service.Namespace, to.spec.Service.Name, portOf(to.spec.Service))
	if err != nil {
		a.Log.Warn("resolve an API service", "name", to.name, "err", err)
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	tr := to.plain
	if r.Header.Get("Upgrade") != "" {
		tr = to.upgrade
	}
	p := &httputil.ReverseProxy{
		Transport: tr, FlushInterval: -1,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host, pr.Out.Host = "https", host, host
			pr.Out.Header["X-Forwarded-For"] = pr.In.Header["X-Forwarded-For"]
			pr.SetXForwarded()
			identify(pr.Out.Header, u)
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.Header.Get("Location") != "" {
				return errRedirect
			}
			// These are this server's to say; a second of each would be added.
			for _, h := range []string{"Audit-Id", "Cache-Control"} {
				if resp.Header.Get(h) != "" {
					w.Header().Del(h)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			code := http.StatusServiceUnavailable
			if errors.Is(err, errRedirect) {
				code = http.StatusBadGateway
			} else {
				err = errors.New("error trying to reach service: " + err.Error())
			}
			if r.Context().Err() == nil {
				http.Error(w, err.Error(), code)
			}
		},
	}
	p.ServeHTTP(w, r)
}

// identify says who asks, in the headers that kube-system/extension-apiserver-authentication names. What the client
// said of itself, and what it proved it to this server with, goes no further.
func identify(h http.Header, u *request.User) {
	h.Del("Authorization")
	for k := range h {
		if strings.HasPrefix(k, "X-Remote-") || strings.HasPrefix(k, "Impersonate-") {
			delete(h, k)
		}
	}
	dropBearer(h)
	h.Set("X-Remote-User", u.Name)
	if u.UID != "" {
		h.Set("X-Remote-Uid", u.UID)
	}
	for _, g := range u.Groups {
		h.Add("X-Remote-Group", g)
	}
	for key, values := range u.Extra {
		for _, v := range values {
			h.Add("X-Remote-Extra-"+escape(key), v)
		}
	}
}

// dropBearer takes out the token that browsers can only send as a subprotocol.
func dropBearer(h http.Header) {
	all := h.Values("Sec-Websocket-Protocol")
	if len(all) == 0 {
		return
	}
	var keep []string
	for p := range strings.SplitSeq(strings.Join(all, ","), ",") {
		if p = strings.TrimSpace(p); !strings.HasPrefix(p, "base64url.bearer.authorization.k8s.io.") {
			keep = append(keep, p)
		}
	}
	h.Set("Sec-Websocket-Protocol", strings.Join(keep, ", "))
}

// escape makes a header's name of any text, as readers of these headers undo it: what may not be in one is
// percent-encoded, and so is the percent sign.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$&'*+-.^_`|~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		if c < 16 {
			b.WriteByte('0')
		}
		b.WriteString(strings.ToUpper(strconv.FormatUint(uint64(c), 16)))
	}
	return b.String()
}
