package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
)

func ensure(t testing.TB) (*Cluster, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	c, err := Ensure(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func TestEnsureLoadsWhatItMade(t *testing.T) {
	a, dir := ensure(t)
	b, err := Ensure(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !a.CA.Cert.Equal(b.CA.Cert) || !a.RequestHeader.Cert.Equal(b.RequestHeader.Cert) || !a.ServiceAccount.Equal(b.ServiceAccount) {
		t.Error("a second Ensure made new keys")
	}
	for _, f := range []string{caCert, caKey, proxyCert, proxyKey, saKey} {
		st, err := os.Stat(filepath.Join(dir, f))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".pki-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnsureConcurrently(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { Ensure(dir) }) // losers of the race may fail, they must not mix files
	}
	wg.Wait()
	if _, err := Ensure(dir); err != nil {
		t.Fatal(err)
	}
}

func TestEnsureRefusesDamage(t *testing.T) {
	other, otherDir := ensure(t)
	_ = other
	foreign, err := os.ReadFile(filepath.Join(otherDir, caKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(dir string) error{
		"file is missing":        func(d string) error { return os.Remove(filepath.Join(d, saKey)) },
		"not a single PEM block": func(d string) error { return os.Truncate(filepath.Join(d, caCert), 50) },
		"does not belong to":     func(d string) error { return os.WriteFile(filepath.Join(d, caKey), foreign, 0o600) },
		"type CERTIFICATE":       func(d string) error { return os.WriteFile(filepath.Join(d, proxyCert), foreign, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			_, dir := ensure(t)
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Ensure(dir)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestIssue(t *testing.T) {
	c, _ := ensure(t)
	cert, err := c.CA.Issue(Leaf{CommonName: "jane", Organization: []string{"dev", "ops"}, Client: true, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	opts := x509.VerifyOptions{Roots: c.CA.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Leaf.Verify(opts); err != nil {
		t.Error(err)
	}
	opts.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := cert.Leaf.Verify(opts); err == nil {
		t.Error("a client certificate passed for a server's")
	}
}

func TestLiveRenews(t *testing.T) {
	c, _ := ensure(t)
	l := NewLive(c.CA, Leaf{CommonName: "api", Server: true, Names: []string{"localhost"}, Life: 3 * time.Hour})
	now := time.Now()
	l.now = func() time.Time { return now }
	get := func() *x509.Certificate {
		c, err := l.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf
	}
	first := get()
	now = now.Add(119 * time.Minute)
	if !get().Equal(first) {
		t.Error("renewed before two thirds of its life")
	}
	now = now.Add(2 * time.Minute)
	second := get()
	if second.Equal(first) {
		t.Error("not renewed after two thirds of its life")
	}
	l.SetNames([]string{"localhost"}, []net.IP{net.IPv4(10, 0, 0, 1)})
	third := get()
	if third.VerifyHostname("10.0.0.1") != nil || third.VerifyHostname("localhost") != nil {
		t.Error("new address is not in the certificate")
	}
	l.SetNames([]string{"localhost"}, []net.IP{net.IPv4(10, 0, 0, 1)})
	if !get().Equal(third) {
		t.Error("issued anew without a change")
	}
}

func TestSignCSR(t *testing.T) {
	c, _ := ensure(t)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:node:a", Organization: []string{"system:nodes"}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, _ := x509.ParseCertificateRequest(der)
	out, err := c.CA.SignCSR(csr, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, 5*caLife)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode(out)
	cert, err := x509.ParseCertificate(b.Bytes)
	if err != nil || cert.Subject.CommonName != "system:node:a" || cert.IsCA || cert.NotAfter.After(c.CA.Cert.NotAfter) {
		t.Errorf("got %v, %v", cert.Subject, err)
	}
	csr.Signature[len(csr.Signature)-1] ^= 1
	if _, err := c.CA.SignCSR(csr, 0, nil, 0); err == nil {
		t.Error("a forged request was signed")
	}
}

func BenchmarkEnsure(b *testing.B) {
	base := b.TempDir()
	for i := 0; b.Loop(); i++ {
		if _, err := Ensure(filepath.Join(base, string(rune('a'+i%26)), time.Now().Format("150405.000000000"))); err != nil {
			b.Fatal(err)
		}
	}
}
