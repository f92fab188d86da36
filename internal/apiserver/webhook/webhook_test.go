package webhook_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/apiserver/webhook"
	"github.com/dhow-project/dhow/internal/pki"
)

type fixed string

func (f fixed) Resolve(namespace, name string, port int32) (string, error) {
	if namespace != "ns" || name != "hook" || port != 443 {
		return "", errors.New("asked for another service")
	}
	return string(f), nil
}

type message struct{ Text string }

// hook serves h as the service hook of namespace ns, and says how to call it. opened counts connections.
func hook(t *testing.T, name string, h http.HandlerFunc) (c *webhook.Caller, target webhook.Target, opened *atomic.Int32) {
	t.Helper()
	keys, err := pki.Ensure(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := keys.CA.Issue(pki.Leaf{CommonName: name, Names: []string{name}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	opened = &atomic.Int32{}
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { opened.Add(1); return ctx }
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: keys.CA.Cert.Raw})
	return webhook.New(fixed(srv.Listener.Addr().String())), webhook.Target{
		Service: &webhook.Service{Namespace: "ns", Name: "hook", Path: "/convert"}, CABundle: ca,
	}, opened
}

func TestService(t *testing.T) {
	c, target, opened := hook(t, "hook.ns.svc", func(w http.ResponseWriter, r *http.Request) {
		var in message
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/convert" || r.Host != "hook.ns.svc:443" ||
			r.Header.Get("Content-Type") != "application/json" || r.URL.Query().Get("timeout") != "3s" {
			t.Errorf("request %s %s of %s, %v", r.Method, r.URL, r.Host, r.Header)
		}
		json.NewEncoder(w).Encode(message{in.Text + " back"})
	})
	for range 3 {
		var out message
		if err := c.Call(t.Context(), target, 3*time.Second, message{"there and"}, &out); err != nil || out.Text != "there and back" {
			t.Fatal(out, err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for three calls in a row", n)
	}
}

func TestRefused(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{}`)) }
	for name, tc := range map[string]struct {
		cert   string
		serve  http.HandlerFunc
		change func(*webhook.Target)
		want   string
	}{
		"certificate of another":  {cert: "other.ns.svc", serve: ok, want: "not hook.ns.svc"},
		"unknown authority":       {serve: ok, change: func(t *webhook.Target) { t.CABundle = nil }, want: "unknown authority"},
		"caBundle is no PEM":      {serve: ok, change: func(t *webhook.Target) { t.CABundle = []byte("x") }, want: "no PEM certificate"},
		"url without TLS":         {serve: ok, change: func(t *webhook.Target) { *t = webhook.Target{URL: "http://x/"} }, want: "is not https://"},
		"no such service":         {serve: ok, change: func(t *webhook.Target) { t.Service.Name = "gone" }, want: "another service"},
		"redirect":                {serve: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, want: "redirect (302)"},
		"error":                   {serve: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", 500) }, want: "answered 500: broken"},
		"answer that is not JSON": {serve: func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, want: "read the webhook's answer"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.cert == "" {
				tc.cert = "hook.ns.svc"
			}
			c, target, _ := hook(t, tc.cert, tc.serve)
			if tc.change != nil {
				tc.change(&target)
			}
			err := c.Call(t.Context(), target, 5*time.Second, message{}, &message{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	c, target, _ := hook(t, "hook.ns.svc", func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then is the client seen to leave
		<-r.Context().Done()
	})
	err := c.Call(t.Context(), target, 50*time.Millisecond, message{}, &message{})
	var ue *url.Error
	if !errors.As(err, &ue) || !ue.Timeout() || !strings.Contains(err.Error(), "https://hook.ns.svc:443/convert?timeout=50ms") {
		t.Error(err)
	}
}
