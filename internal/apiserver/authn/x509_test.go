package authn

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/pki"
)

func TestCertificates(t *testing.T) {
	ours, err := pki.Ensure(filepath.Join(t.TempDir(), "pki"))
	if err != nil {
		t.Fatal(err)
	}
	issue := func(ca *pki.CA, l pki.Leaf) *x509.Certificate {
		c, err := ca.Issue(l)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	z := NewCertificates(ours.CA.Pool())
	ask := func(c *x509.Certificate) (string, []string, error) {
		r := &http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}}
		u, err := z.Authenticate(r)
		if u == nil {
			return "", nil, err
		}
		return u.Name, u.Groups, err
	}
	name, groups, err := ask(issue(ours.CA, pki.Leaf{CommonName: "jane", Organization: []string{"dev", "system:masters"}, Client: true}))
	if err != nil || name != "jane" || len(groups) != 3 || groups[1] != "system:masters" {
		t.Errorf("%q %v, %v", name, groups, err)
	}
	if name, _, err := ask(issue(ours.CA, pki.Leaf{CommonName: "jane", Server: true})); err == nil {
		t.Errorf("a server certificate made user %q", name)
	}
	if name, _, err := ask(issue(ours.RequestHeader, pki.Leaf{CommonName: "jane", Client: true})); err == nil {
		t.Errorf("a certificate of another authority made user %q", name)
	}
	if name, _, err := ask(issue(ours.CA, pki.Leaf{Client: true})); name != "" || err != nil {
		t.Errorf("no common name: user %q, %v", name, err)
	}
	old := issue(ours.CA, pki.Leaf{CommonName: "old", Client: true, Life: time.Hour})
	for range 2 {
		if name, _, err := ask(old); name != "old" {
			t.Errorf("good certificate: user %q, %v", name, err)
		}
	}
	z.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if name, _, err := ask(old); err == nil {
		t.Errorf("a certificate that ended made user %q", name)
	}
}

func BenchmarkCertificates(b *testing.B) {
	ours, err := pki.Ensure(filepath.Join(b.TempDir(), "pki"))
	if err != nil {
		b.Fatal(err)
	}
	c, err := ours.CA.Issue(pki.Leaf{CommonName: "jane", Client: true})
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.Leaf}}}
	z := NewCertificates(ours.CA.Pool())
	for b.Loop() {
		if _, err := z.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}
