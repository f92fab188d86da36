package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/engine"
)

// Checker makes single checks. The zero value but for Exec is ready.
type Checker struct {
	// Exec runs a command in a container.
	Exec  func(ctx context.Context, id string, e engine.ExecConfig) (int, error)
	once  sync.Once
	trans *http.Transport
}

// Target is what a check needs to know.
type Target struct {
	Spec *corev1.Container
	ID   string // engine id
	IP   string // of the pod
}

// maxOutput bounds what of a probe's answer goes into an event.
const maxOutput = 10 << 10

// Check performs a handler's action; output says what went wrong.
func (c *Checker) Check(ctx context.Context, t Target, h *corev1.ProbeHandler) (ok bool, output string) {
	switch {
	case h.Exec != nil:
		return c.exec(ctx, t, h.Exec.Command)
	case h.HTTPGet != nil:
		return c.get(ctx, t, h.HTTPGet)
	case h.TCPSocket != nil:
		host := h.TCPSocket.Host
		if host == "" {
			host = t.IP
		}
		port, err := Port(h.TCPSocket.Port, t.Spec)
		if err != nil {
			return false, err.Error()
		}
		return dial(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
	case h.GRPC != nil:
		service := ""
		if h.GRPC.Service != nil {
			service = *h.GRPC.Service
		}
		return health(ctx, net.JoinHostPort(t.IP, strconv.Itoa(int(h.GRPC.Port))), service)
	}
	return false, "missing probe handler"
}

// limited keeps the first bytes written to it.
type limited struct {
	b    []byte
	most int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.most - len(l.b); room > 0 {
		l.b = append(l.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (c *Checker) exec(ctx context.Context, t Target, command []string) (bool, string) {
	out := &limited{most: maxOutput}
	code, err := c.Exec(ctx, t.ID, engine.ExecConfig{Command: command, Streams: engine.Streams{Stdout: out, Stderr: out}})
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return false, fmt.Sprintf("command timed out: %q timed out", strings.Join(command, " "))
	case err != nil:
		return false, err.Error()
	case code != 0:
		return false, string(out.b)
	}
	return true, ""
}

func dial(ctx context.Context, addr string) (bool, string) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false, err.Error()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // no TIME_WAIT for each probe
	}
	conn.Close()
	return true, ""
}

// Port resolves a number or a container port's name.
func Port(p intstr.IntOrString, c *corev1.Container) (int, error) {
	if p.Type == intstr.Int {
		return p.IntValue(), nil
	}
	for _, cp := range c.Ports {
		if cp.Name == p.StrVal {
			return int(cp.ContainerPort), nil
		}
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return n, nil
	}
	return 0, fmt.Errorf("couldn't find port: %q in container %s", p.StrVal, c.Name)
}

func (c *Checker) client() *http.Client {
	c.once.Do(func() {
		c.trans = &http.Transport{
			DisableKeepAlives: true, DisableCompression: true, Proxy: nil,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // a probe asks whether, not who
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, network, addr)
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.SetLinger(1)
				}
				return conn, err
			},
		}
	})
	return &http.Client{Transport: c.trans, CheckRedirect: sameHost}
}

// sameHost follows redirects only to the host that was asked: a pod must not make its node call elsewhere.
func sameHost(r *http.Request, via []*http.Request) error {
	if r.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

// Request makes the request of an HTTP action.
func Request(ctx context.Context, t Target, a *corev1.HTTPGetAction, agent string) (*http.Request, error) {
	port, err := Port(a.Port, t.Spec)
	if err != nil {
		return nil, err
	}
	host := a.Host
	if host == "" {
		host = t.IP
	}
	u, err := url.Parse(a.Path)
	if err != nil {
		u = &url.URL{Path: a.Path}
	}
	u.Scheme, u.Host = strings.ToLower(string(a.Scheme)), net.JoinHostPort(host, strconv.Itoa(port))
	if u.Scheme == "" {
		u.Scheme = "http"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range a.HTTPHeaders {
		r.Header.Add(h.Name, h.Value)
	}
	setDefault(r.Header, "User-Agent", agent)
	setDefault(r.Header, "Accept", "*/*")
	if h := r.Header.Get("Host"); h != "" {
		r.Host = h
	}
	return r, nil
}

func setDefault(h http.Header, k, v string) {
	if _, ok := h[k]; !ok {
		h.Set(k, v)
	} else if h.Get(k) == "" {
		h.Del(k)
	}
}

func (c *Checker) get(ctx context.Context, t Target, a *corev1.HTTPGetAction) (bool, string) {
	r, err := Request(ctx, t, a, "kube-probe/1.36")
	if err != nil {
		return false, err.Error()
	}
	res, err := c.client().Do(r)
	if err != nil {
		return false, err.Error()
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxOutput)
	if res.StatusCode >= 200 && res.StatusCode < 400 {
		return true, ""
	}
	return false, fmt.Sprintf("HTTP probe failed with statuscode: %d", res.StatusCode)
}

// Close lets go of idle connections.
func (c *Checker) Close() {
	if c.trans != nil {
		c.trans.CloseIdleConnections()
	}
}

const dialTimeout = 10 * time.Second
