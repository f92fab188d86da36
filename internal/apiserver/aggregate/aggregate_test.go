package aggregate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/aggregate"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/pki"
	"github.com/dhow-project/dhow/internal/store/mem"
)

// docs are the OpenAPI paths that an Aggregator offers.
type docs struct {
	mu sync.Mutex
	m  map[string]func() ([]byte, error)
}

func (d *docs) Add(path, _ string, build func() ([]byte, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.m[path] = build
}

func (d *docs) Remove(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.m, path)
}

type fixedResolver struct{ host string }

func (f *fixedResolver) Resolve(string, string, int32) (string, error) {
	if f.host == "" {
		return "", errors.New("no endpoints")
	}
	return f.host, nil
}

// rig is an API server with an aggregator, and another server that it may pass requests to.
type rig struct {
	server   *apiserver.Server
	agg      *aggregate.Aggregator
	docs     *docs
	resolver *fixedResolver
	other    *httptest.Server
	services client.Client[*apiregistrationv1.APIService]
	ca       []byte
	mu       sync.Mutex
	seen     []*http.Request
	changed  chan struct{}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keys, err := pki.Ensure(filepath.Join(t.TempDir(), "pki"))
	if err != nil {
		t.Fatal(err)
	}
	st := mem.New()
	s, err := apiserver.New(apiserver.Config{Store: st, Registry: api.NewRegistry(all.Kinds())})
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{server: s, docs: &docs{m: map[string]func() ([]byte, error){}}, resolver: &fixedResolver{}, changed: make(chan struct{}, 1)}
	conn := s.Conn(&request.User{Name: "t", Groups: []string{"system:masters"}})
	front := pki.NewLive(keys.RequestHeader, pki.ComponentLeaf("front-proxy-client"))
	g.agg = aggregate.New(aggregate.Config{Reader: s.Reader(), Conn: conn, Resolver: g.resolver, Documents: g.docs, Certificate: front.GetClientCertificate})
	s.Aggregator = g.agg
	g.services = client.For[*apiregistrationv1.APIService](conn)
	s.Reader().OnChange(kindOf(s.Registry, &apiregistrationv1.APIService{}), func(_, _ api.Object) {
		select {
		case g.changed <- struct{}{}:
		default:
		}
	})
	g.start(t, st.Close)
	g.startOther(t, keys)
	return g
}

func (g *rig) start(t *testing.T, closeStore func() error) {
	if err := g.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.server.Run(ctx) })
	wg.Go(func() {
		if err := g.agg.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait(); _ = closeStore() })
}

// startOther starts the other server, which trusts only the front proxy's certificate.
func (g *rig) startOther(t *testing.T, keys *pki.Cluster) {
	serving, err := keys.CA.Issue(pki.Leaf{CommonName: "x", Names: []string{"sample.web.svc"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	g.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: keys.CA.Cert.Raw})
	g.other = httptest.NewUnstartedServer(http.HandlerFunc(g.answer))
	g.other.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.other.EnableHTTP2 = true
	trust := x509.NewCertPool()
	trust.AddCert(keys.RequestHeader.Cert)
	g.other.TLS = &tls.Config{Certificates: []tls.Certificate{*serving}, ClientCAs: trust, ClientAuth: tls.RequireAndVerifyClientCert}
	g.other.StartTLS()
	t.Cleanup(g.other.Close)
}

func (g *rig) answer(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.seen = append(g.seen, r)
	g.mu.Unlock()
	switch r.URL.Path {
	case "/apis/wardle.example.com/v1":
		fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"wardle.example.com/v1","resources":[
			{"name":"flunders","singularName":"flunder","namespaced":true,"kind":"Flunder","verbs":["get","list"],"shortNames":["fl"]},
			{"name":"flunders/status","namespaced":true,"kind":"Flunder","verbs":["get"]}]}`)
	case "/openapi/v3":
		fmt.Fprint(w, `{"paths":{"apis/wardle.example.com/v1":{"serverRelativeURL":"/openapi/v3/apis/wardle.example.com/v1?hash=A"}}}`)
	case "/openapi/v3/apis/wardle.example.com/v1":
		fmt.Fprint(w, `{"openapi":"3.0.0"}`)
	case "/apis/wardle.example.com/v1/away":
		http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusFound)
	case "/apis/wardle.example.com/v1/stream":
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\nhello")
			c.Close()
		}
	default:
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
	}
}

func (g *rig) service() *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: "v1.wardle.example.com"}, Spec: apiregistrationv1.APIServiceSpec{
		Service: &apiregistrationv1.ServiceReference{Namespace: "web", Name: "sample"}, Group: "wardle.example.com", Version: "v1",
		CABundle: g.ca, GroupPriorityMinimum: 2000, VersionPriority: 200,
	}}
}

// reports waits until the APIService's condition has the reason.
func (g *rig) reports(t *testing.T, name, reason string) {
	t.Helper()
	for {
		s, err := g.services.Get(t.Context(), "", name)
		if err == nil && len(s.Status.Conditions) > 0 && s.Status.Conditions[0].Reason == reason {
			return
		}
		select {
		case <-g.changed:
		case <-t.Context().Done():
			t.Fatalf("%s does not become %s: %+v %v", name, reason, s, err)
		}
	}
}

func (g *rig) get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.server.Handler().ServeHTTP(w, r)
	return w
}

// up makes the Service and its endpoints, and waits until that is found to have the result.
func (g *rig) up(t *testing.T, reason string) {
	t.Helper()
	conn := g.agg.Conn
	port, name, tcp := int32(443), "https", corev1.ProtocolTCP
	ready := true
	for _, o := range []api.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "web"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "sample"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.9",
			ClusterIPs: []string{"10.96.0.9"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Ports: []corev1.ServicePort{{Name: name, Port: 443}}}},
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "sample-1", Labels: map[string]string{discoveryv1.LabelServiceName: "sample"}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &tcp}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}},
	} {
		k := kindOf(conn.Registry(), o)
		if _, err := conn.Create(t.Context(), k, o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	g.reports(t, "v1.wardle.example.com", reason)
}

func kindOf(r *api.Registry, o api.Object) *api.Kind {
	for _, k := range r.Kinds() {
		if fmt.Sprintf("%T", k.Hub().New()) == fmt.Sprintf("%T", o) {
			return k
		}
	}
	return nil
}

func TestAnotherServerServesItsGroup(t *testing.T) {
	g := newRig(t)
	g.resolver.host = g.other.Listener.Addr().String()
	if _, err := g.services.Create(t.Context(), g.service()); err != nil {
		t.Fatal(err)
	}
	g.reports(t, "v1.wardle.example.com", "ServiceNotFound")
	if w := g.get("/apis/wardle.example.com/v1/flunders"); w.Code != 503 || !strings.Contains(w.Body.String(), "service unavailable") {
		t.Errorf("not available yet: %d %s", w.Code, w.Body)
	}
	g.up(t, "Passed")
	w := g.get("/apis/wardle.example.com/v1/namespaces/web/flunders?limit=5", "Authorization", "Bearer secret", "X-Remote-User", "root", "X-Remote-Extra-A", "b")
	if w.Code != 200 || w.Body.String() != "GET /apis/wardle.example.com/v1/namespaces/web/flunders?limit=5" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	last := g.asked(t, "/apis/wardle.example.com/v1/namespaces/web/flunders")
	if h := last.Header; h.Get("Authorization") != "" || h.Get("X-Remote-User") != "system:anonymous" || h.Get("X-Remote-Group") != "system:unauthenticated" || h.Get("X-Remote-Extra-A") != "" {
		t.Errorf("the other server is told %v", h)
	}
	if cn := last.TLS.PeerCertificates[0].Subject.CommonName; cn != "front-proxy-client" {
		t.Errorf("the certificate is %s's", cn)
	}
	if w := g.get("/apis/wardle.example.com/v1/away"); w.Code != http.StatusBadGateway || w.Header().Get("Location") != "" {
		t.Errorf("a redirect was passed on: %d %v", w.Code, w.Header())
	}
	discovered(t, g)
	if err := g.services.Delete(t.Context(), "", "v1.wardle.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if w := g.get("/apis/wardle.example.com/v1/flunders"); w.Code != 404 {
		t.Errorf("gone, but answered %d %s", w.Code, w.Body)
	}
	if len(g.docs.m) != 0 {
		t.Error("the OpenAPI document is still offered")
	}
}

// asked is a request that the other server saw.
func (g *rig) asked(t *testing.T, path string) *http.Request {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.seen {
		if r.URL.Path == path {
			return r
		}
	}
	t.Fatalf("%s was not asked for", path)
	return nil
}

func discovered(t *testing.T, g *rig) {
	t.Helper()
	list := g.get("/apis").Body.String()
	own, theirs := strings.Index(list, `"apps"`), strings.Index(list, `"wardle.example.com"`)
	if own < 0 || theirs < own {
		t.Errorf("groups %s", list)
	}
	if w := g.get("/apis/wardle.example.com"); w.Code != 200 || !strings.Contains(w.Body.String(), `"groupVersion":"wardle.example.com/v1"`) {
		t.Errorf("group %d %s", w.Code, w.Body)
	}
	both := g.get("/apis", "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").Body.String()
	for _, want := range []string{`"resource":"flunders"`, `"subresource":"status"`, `"shortNames":["fl"]`, `"scope":"Namespaced"`} {
		if !strings.Contains(both, want) {
			t.Errorf("aggregated discovery lacks %s", want)
		}
	}
	g.docs.mu.Lock()
	build := g.docs.m["apis/wardle.example.com/v1"]
	g.docs.mu.Unlock()
	if build == nil {
		t.Fatal("no OpenAPI document")
	}
	if b, err := build(); err != nil || string(b) != `{"openapi":"3.0.0"}` {
		t.Errorf("document %s %v", b, err)
	}
}

func TestStreamsPass(t *testing.T) {
	g := newRig(t)
	g.resolver.host = g.other.Listener.Addr().String()
	if _, err := g.services.Create(t.Context(), g.service()); err != nil {
		t.Fatal(err)
	}
	g.up(t, "Passed")
	web := httptest.NewServer(g.server.Handler())
	defer web.Close()
	r, _ := http.NewRequest("GET", web.URL+"/apis/wardle.example.com/v1/stream", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "test")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusSwitchingProtocols || string(b) != "hello" {
		t.Errorf("got %d %q %v", resp.StatusCode, b, err)
	}
}

// A server whose certificate nobody vouches for is not used.
func TestCertificateIsVerified(t *testing.T) {
	g := newRig(t)
	g.resolver.host = g.other.Listener.Addr().String()
	s := g.service()
	s.Spec.CABundle = nil
	if _, err := g.services.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	g.up(t, "FailedDiscoveryCheck")
	have, err := g.services.Get(t.Context(), "", s.Name)
	if err != nil || !strings.Contains(have.Status.Conditions[0].Message, "certificate") {
		t.Errorf("%v %v", have.Status, err)
	}
	have = have.DeepCopy()
	have.Spec.InsecureSkipTLSVerify = true
	if _, err := g.services.Update(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	g.reports(t, s.Name, "Passed")
}

func TestLocalServices(t *testing.T) {
	g := newRig(t)
	g.reports(t, "v1.apps", "Local")
	g.reports(t, "v2.autoscaling", "Local")
	g.reports(t, "v1.", "Local")
}
