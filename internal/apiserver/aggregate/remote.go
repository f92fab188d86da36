package aggregate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// remote is a group version that another server serves. What an APIService says about the server is fixed; what is known of
// the server changes.
type remote struct {
	name    string // of the APIService
	gv      schema.GroupVersion
	spec    apiregistrationv1.APIServiceSpec
	plain   *http.Transport // requests; HTTP/2 when the server speaks it
	upgrade *http.Transport // requests that become streams, which HTTP/2 has no way for
	broken  error           // why there are no transports

	available *atomic.Bool
	resources *atomic.Pointer[metav1.APIResourceList] // as the server last said; nil when it never did
}

// newRemote makes what s says; have, which it may take the place of, is returned when s says the same.
func (a *Aggregator) newRemote(s *apiregistrationv1.APIService, have *remote) *remote {
	if have != nil && equality.Semantic.DeepEqual(have.spec, s.Spec) {
		return have
	}
	r := &remote{name: s.Name, gv: groupVersion(s), spec: *s.Spec.DeepCopy()}
	if have != nil && sameServer(have.spec, s.Spec) { // only its place among others changed
		r.plain, r.upgrade, r.broken, r.available, r.resources = have.plain, have.upgrade, have.broken, have.available, have.resources
		return r
	}
	if have != nil {
		have.close()
	}
	r.available, r.resources = &atomic.Bool{}, &atomic.Pointer[metav1.APIResourceList]{}
	cfg, err := a.tlsConfig(r.spec)
	if err != nil {
		r.broken = err
		return r
	}
	r.plain, r.upgrade = transport(cfg, true), transport(cfg, false)
	return r
}

func sameServer(a, b apiregistrationv1.APIServiceSpec) bool {
	a.GroupPriorityMinimum, a.VersionPriority = b.GroupPriorityMinimum, b.VersionPriority
	return equality.Semantic.DeepEqual(a, b)
}

func (a *Aggregator) tlsConfig(s apiregistrationv1.APIServiceSpec) (*tls.Config, error) {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: s.Service.Name + "." + s.Service.Namespace + ".svc",
		InsecureSkipVerify: s.InsecureSkipTLSVerify, GetClientCertificate: a.Certificate,
	}
	if len(s.CABundle) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(s.CABundle) {
			return nil, fmt.Errorf("the APIService's caBundle has no PEM certificate")
		}
	}
	return cfg, nil
}

func transport(cfg *tls.Config, http2 bool) *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     cfg.Clone(),
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   http2,
		DisableCompression:  true, // what the client accepts is the client's
	}
	if !http2 {
		t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return t
}

func (r *remote) close() {
	if r.plain != nil {
		r.plain.CloseIdleConnections()
		r.upgrade.CloseIdleConnections()
	}
}

func path(gv schema.GroupVersion) string { return "apis/" + gv.Group + "/" + gv.Version }
