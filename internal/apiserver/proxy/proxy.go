// Package proxy connects clients to nodes, pods and services: exec, attach,
// portforward, logs and the proxy subresources.
//
// Upgraded streams (SPDY, WebSocket) and chunked answers pass through as they
// are; redirects are never followed. Read this file first: Connectors is the list.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/codec"
)

// Config says how to reach what is connected to.
type Config struct {
	// Node carries requests to kubelets: TLS with the API server's client certificate, HTTP/1.1.
	Node http.RoundTripper
	// Workload carries requests to pods; nil means a transport that verifies nothing, as upstream's.
	Workload http.RoundTripper
}

// Connectors serves these subresources.
func Connectors(cfg Config) map[string]apiserver.Connector {
	if cfg.Workload == nil {
		cfg.Workload = insecure()
	}
	return map[string]apiserver.Connector{
		"pods/exec":        cfg.connect(execTarget("exec")),
		"pods/attach":      cfg.connect(execTarget("attach")),
		"pods/portforward": cfg.connect(portforwardTarget),
		"pods/log":         cfg.connectLog,
		"pods/proxy":       cfg.connect(podTarget),
		"services/proxy":   cfg.connect(serviceTarget),
		"nodes/proxy":      cfg.connect(nodeTarget),
	}
}

// target is where a connection goes.
type target struct {
	url      *url.URL
	node     bool // by Config.Node
	relocate bool // answers are pages of a proxied server: rewrite its redirects and links
}

type locate func(r *http.Request, c *apiserver.Connection) (*target, error)

func (cfg Config) connect(find locate) apiserver.Connector {
	return func(w http.ResponseWriter, r *http.Request, c *apiserver.Connection) {
		t, err := find(r, c)
		if err != nil {
			fail(w, err)
			return
		}
		if t.relocate && c.Path == "" && r.Header.Get("Upgrade") == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			toFolder(w, r)
			return
		}
		cfg.serve(w, r, c, t)
	}
}

// toFolder sends a browser to the path with a slash, so that relative links lead somewhere (kubernetes issue 4958).
func toFolder(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: r.URL.Path + "/", RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusMovedPermanently)
}

func (cfg Config) serve(w http.ResponseWriter, r *http.Request, c *apiserver.Connection, t *target) {
	p := &httputil.ReverseProxy{
		Transport:     cfg.Workload,
		FlushInterval: -1,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL, pr.Out.Host = t.url, t.url.Host
			strip(pr.Out.Header)
			if t.relocate {
				pr.SetXForwarded()
			}
		},
		ModifyResponse: func(resp *http.Response) error { return judge(resp, r, t) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var api apierrors.APIStatus
			if !errors.As(err, &api) {
				err = apierrors.NewServiceUnavailable(fmt.Sprintf("error trying to reach service: %v", err))
			}
			fail(w, err)
		},
	}
	if t.node {
		if cfg.Node == nil {
			fail(w, apierrors.NewServiceUnavailable("this server has no connection to nodes"))
			return
		}
		p.Transport = cfg.Node
	}
	p.ServeHTTP(w, r)
}

// strip takes out what says who the client is: it is for the API server alone.
func strip(h http.Header) {
	h.Del("Authorization")
	for k := range h {
		if strings.HasPrefix(k, "Impersonate-") || strings.HasPrefix(k, "X-Remote-") {
			delete(h, k)
		}
	}
	protocols := h.Values("Sec-Websocket-Protocol")
	if len(protocols) == 0 {
		return
	}
	var keep []string
	for _, p := range strings.Split(strings.Join(protocols, ","), ",") {
		if p = strings.TrimSpace(p); !strings.HasPrefix(p, "base64url.bearer.authorization.k8s.io.") {
			keep = append(keep, p)
		}
	}
	h.Set("Sec-Websocket-Protocol", strings.Join(keep, ", "))
}

// maxError bounds what is kept of a node's error text.
const maxError = 16 << 10

// judge turns a node's errors into Statuses, refuses its redirects and rewrites those of proxied servers.
func judge(resp *http.Response, r *http.Request, t *target) error {
	if t.relocate {
		relocate(resp, r, t)
		rewritePages(resp, t.url.Host, strings.TrimSuffix(r.URL.Path, t.url.Path))
		return nil
	}
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return apierrors.NewInternalError(fmt.Errorf("the node answered with a redirect, which is not followed"))
	case resp.StatusCode >= 400:
		b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // the code alone says enough
		text := strings.TrimSpace(string(b))
		if resp.StatusCode == http.StatusBadRequest {
			return apierrors.NewBadRequest(text)
		}
		return apierrors.NewGenericServerResponse(resp.StatusCode, r.Method, schema.GroupResource{Resource: "pods"}, "", text, 0, true)
	}
	return nil
}

// relocate keeps the client on the proxy's path when the proxied server redirects to itself.
func relocate(resp *http.Response, r *http.Request, t *target) {
	loc, err := resp.Location()
	if err != nil {
		return
	}
	if loc.Host != "" && loc.Host != t.url.Host {
		return
	}
	prefix := strings.TrimSuffix(r.URL.Path, t.url.Path)
	loc.Scheme, loc.Host, loc.Path = "", "", prefix+loc.Path
	resp.Header.Set("Location", loc.String())
}

func fail(w http.ResponseWriter, err error) {
	st := apierrors.NewInternalError(err).Status()
	var api apierrors.APIStatus
	if errors.As(err, &api) {
		st = api.Status()
	} else if errors.Is(err, context.Canceled) {
		return
	}
	b, err := codec.Object(codec.JSON, schema.GroupVersionKind{Version: "v1", Kind: "Status"}, &st)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", codec.TypeJSON)
	w.WriteHeader(int(st.Code))
	w.Write(append(b, '\n'))
}
