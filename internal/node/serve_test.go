package node

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
)

func TestKubectlsStreams(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	p.Spec.Containers = []corev1.Container{{Name: "app", Image: "web:1"}, sh("talker", "echo one; echo two; sleep 1000")}
	w.create(p)
	w.running("a")
	srv := httptest.NewServer(w.node.Handler())
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	cfg := &rest.Config{Host: srv.URL}

	get := func(path string) (int, string) {
		res, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	res, err := http.Get(srv.URL + "/containerLogs/default/a/talker?follow=true")
	if err != nil {
		t.Fatal(err)
	}
	followed := make([]byte, len("one\ntwo\n"))
	if _, err := io.ReadFull(res.Body, followed); err != nil || string(followed) != "one\ntwo\n" {
		t.Errorf("follow: %q %v", followed, err)
	}
	res.Body.Close()
	if code, body := get("/containerLogs/default/a/talker?tailLines=1"); code != 200 || body != "two\n" {
		t.Errorf("logs: %d %q", code, body)
	}
	if code, body := get("/containerLogs/default/a/none"); code != 404 || !strings.Contains(body, `container "none" not found in pod "a"`) {
		t.Errorf("logs of nothing: %d %q", code, body)
	}
	if code, _ := get("/containerLogs/default/a/talker?previous=true"); code != 400 {
		t.Errorf("previous: %d", code)
	}
	for _, path := range []string{"/healthz", "/pods", "/stats/summary", "/metrics", "/metrics/resource", "/metrics/cadvisor"} {
		if code, body := get(path); code != 200 || body == "" {
			t.Errorf("%s: %d", path, code)
		}
	}

	at := *u
	at.Path, at.RawQuery = "/exec/default/a/app", "command=sh&command=-c&command=cat%3B+exit+7&stdin=true&stdout=true&stderr=true&input=1&output=1&error=1"
	ws, err := remotecommand.NewWebSocketExecutor(cfg, "GET", at.String())
	if err != nil {
		t.Fatal(err)
	}
	sp, err := remotecommand.NewSPDYExecutor(cfg, "POST", &at)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]remotecommand.Executor{"websocket": ws, "spdy": sp} {
		var out bytes.Buffer
		err := x.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader("ping\n"), Stdout: &out, Stderr: io.Discard})
		if e, ok := err.(exec.ExitError); !ok || e.ExitStatus() != 7 || out.String() != "ping\n" {
			t.Errorf("%s: %q %v", name, out.String(), err)
		}
	}

	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	at.Path, at.RawQuery = "/portForward/default/a", ""
	rt, up, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(&at, cfg)
	if err != nil {
		t.Fatal(err)
	}
	port := echo.Addr().(*net.TCPAddr).Port
	forward(t, "spdy", spdy.NewDialer(up, &http.Client{Transport: rt}, "POST", &at), port)
	forward(t, "websocket", tunnel, port)
}

func forward(t *testing.T, name string, d httpstream.Dialer, port int) {
	t.Helper()
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(d, []string{"0:" + strconv.Itoa(port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("%s: %v", name, err)
	}
	ports, _ := f.GetPorts()
	for range 3 {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local))))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "hello")
		c.(*net.TCPConn).CloseWrite()
		b, err := io.ReadAll(c)
		c.Close()
		if string(b) != "hello" || err != nil {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	close(stop)
	<-done
}
