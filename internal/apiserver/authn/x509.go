package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Certificates knows users by client certificates of the given authorities: common name is the user,
// organizations are the groups.
type Certificates struct {
	CAs *x509.CertPool
}

// Authenticate implements request.Authenticator.
func (c Certificates) Authenticate(r *http.Request) (*request.User, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || c.CAs == nil {
		return nil, nil
	}
	leaf := r.TLS.PeerCertificates[0]
	o := x509.VerifyOptions{Roots: c.CAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if rest := r.TLS.PeerCertificates[1:]; len(rest) > 0 {
		o.Intermediates = x509.NewCertPool()
		for _, i := range rest {
			o.Intermediates.AddCert(i)
		}
	}
	if _, err := leaf.Verify(o); err != nil {
		return nil, fmt.Errorf("verify client certificate of %q: %w", leaf.Subject.CommonName, err)
	}
	if leaf.Subject.CommonName == "" {
		return nil, nil
	}
	sum := sha256.Sum256(leaf.Raw)
	return &request.User{
		Name:   leaf.Subject.CommonName,
		Groups: slices.Clone(leaf.Subject.Organization),
		Extra:  map[string][]string{credentialID: {"X509SHA256=" + hex.EncodeToString(sum[:])}},
	}, nil
}
