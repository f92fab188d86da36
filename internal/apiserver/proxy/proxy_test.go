package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/proxy"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/store/mem"
)

func kind(name string, namespaced bool, obj api.Object, list runtime.Object, subs ...string) *api.Kind {
	k := &api.Kind{Kind: name, Resource: strings.ToLower(name) + "s", Namespaced: namespaced, Versions: []api.Version{{
		Version: "v1", New: func() api.Object { return obj.DeepCopyObject().(api.Object) }, NewList: func() runtime.Object { return list.DeepCopyObject() },
	}}}
	for _, s := range subs {
		k.Subresources = append(k.Subresources, api.Subresource{Name: s, Verbs: []string{"create", "get"}})
	}
	return k
}

// kubelet echoes what it is asked; an upgraded connection echoes bytes.
func kubelet(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/exec/"):
		if r.Header.Get("Authorization") != "" {
			http.Error(w, "credentials were passed on", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "SPDY/3.1")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		line, _ := buf.ReadString('\n')
		fmt.Fprintf(conn, "%s?%s: %s", r.URL.Path, r.URL.RawQuery, line)
	case strings.HasSuffix(r.URL.Path, "/waiting"):
		http.Error(w, `container "waiting" in pod "p" is waiting to start: ContainerCreating`, http.StatusBadRequest)
	case strings.HasSuffix(r.URL.Path, "/evil"):
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	default:
		fmt.Fprintf(w, "%s?%s", r.URL.Path, r.URL.RawQuery)
	}
}

func start(t *testing.T) *httptest.Server {
	node := httptest.NewTLSServer(http.HandlerFunc(kubelet))
	t.Cleanup(node.Close)
	u, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := apiserver.New(apiserver.Config{
		Store: mem.New(), Connect: proxy.Connectors(proxy.Config{Node: node.Client().Transport}),
		Registry: api.NewRegistry([]*api.Kind{
			kind("Pod", true, &corev1.Pod{}, &corev1.PodList{}, "exec", "log", "proxy"),
			kind("Node", false, &corev1.Node{}, &corev1.NodeList{}, "proxy"),
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() { web.Close(); cancel(); wg.Wait() })
	seed(t, s.Conn(&request.User{Groups: []string{"system:masters"}}), u)
	return web
}

func seed(t *testing.T, conn client.Conn, node *url.URL) {
	port, _ := strconv.Atoi(node.Port())
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: node.Hostname()}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Spec: corev1.PodSpec{NodeName: "n",
		Containers: []corev1.Container{{Name: "c"}, {Name: "waiting"}, {Name: "evil"}}}}
	p.Status.PodIP = "127.0.0.1"
	if _, err := client.For[*corev1.Node](conn).Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if _, err := client.For[*corev1.Pod](conn).Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestRequests(t *testing.T) {
	web := start(t)
	pods := "/api/v1/namespaces/default/pods/p"
	for path, want := range map[string]struct {
		code int
		body string
	}{
		pods + "/log?container=c&tailLines=5&nonsense=1": {200, "/containerLogs/default/p/c?tailLines=5"},
		pods + "/log":                       {400, "a container name must be specified for pod p, choose one of: [c waiting evil]"},
		pods + "/log?container=x":           {400, "container x is not valid for pod p"},
		pods + "/log?container=waiting":     {400, `is waiting to start: ContainerCreating","reason":"BadRequest"`},
		pods + "/log?container=evil":        {500, "redirect, which is not followed"},
		pods + ":80/proxy/x":                {400, "cannot be proxied to"},
		"/api/v1/nodes/n/proxy/healthz?a=b": {200, "/healthz?a=b"},
		"/api/v1/nodes/n:1/proxy/healthz":   {400, "can be reached at port"},
		"/api/v1/nodes/m/proxy/healthz":     {404, `nodes \"m\" not found`},
	} {
		resp, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want.code || !strings.Contains(string(b), want.body) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	}
}

func TestUpgrade(t *testing.T) {
	web := start(t)
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/v1/namespaces/default/pods/p/exec?container=c&command=ls&command=-l&stdout=true HTTP/1.1\r\n"+
		"Host: x\r\nAuthorization: Bearer secret\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v %v", resp, err)
	}
	fmt.Fprintf(conn, "hello\n")
	line, err := r.ReadString('\n')
	if line != "/exec/default/p/c?command=ls&command=-l&output=1: hello\n" {
		t.Errorf("%q %v", line, err)
	}
}
