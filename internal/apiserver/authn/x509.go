package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Certificates knows users by client certificates of the given authorities: common name is the user,
// organizations are the groups.
type Certificates struct {
	cas  *x509.CertPool
	memo memo[*verified]
	now  func() time.Time
}

// verified is a certificate that chains to an authority between two times.
type verified struct {
	user          *request.User // shared, never changed
	after, before time.Time
}

// NewCertificates makes it; without authorities it knows nobody.
func NewCertificates(cas *x509.CertPool) *Certificates {
	return &Certificates{cas: cas, now: time.Now}
}

// Authenticate implements request.Authenticator.
func (c *Certificates) Authenticate(r *http.Request) (*request.User, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || c.cas == nil {
		return nil, nil
	}
	leaf, now := r.TLS.PeerCertificates[0], c.now()
	key := sha256.Sum256(leaf.Raw)
	if v, ok := c.memo.get(key); ok && now.After(v.after) && now.Before(v.before) {
		return v.user, nil
	}
	v, err := c.verify(r.TLS.PeerCertificates, now)
	if err != nil {
		return nil, fmt.Errorf("verify client certificate of %q: %w", leaf.Subject.CommonName, err)
	}
	if leaf.Subject.CommonName == "" {
		return nil, nil
	}
	v.user = &request.User{
		Name:   leaf.Subject.CommonName,
		Groups: withGroup(leaf.Subject.Organization),
		Extra:  map[string][]string{credentialID: {"X509SHA256=" + hex.EncodeToString(key[:])}},
	}
	c.memo.put(key, v)
	return v.user, nil
}

func withGroup(groups []string) []string {
	out := slices.Clone(groups)
	if !slices.Contains(out, Authenticated) {
		out = append(out, Authenticated)
	}
	return out
}

func (c *Certificates) verify(peer []*x509.Certificate, now time.Time) (*verified, error) {
	o := x509.VerifyOptions{Roots: c.cas, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if len(peer) > 1 {
		o.Intermediates = x509.NewCertPool()
		for _, i := range peer[1:] {
			o.Intermediates.AddCert(i)
		}
	}
	chains, err := peer[0].Verify(o)
	if err != nil {
		return nil, err
	}
	v := &verified{after: peer[0].NotBefore, before: peer[0].NotAfter}
	for _, cert := range chains[0] {
		if cert.NotAfter.Before(v.before) {
			v.before = cert.NotAfter
		}
		if cert.NotBefore.After(v.after) {
			v.after = cert.NotBefore
		}
	}
	return v, nil
}
