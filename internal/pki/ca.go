package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// CA is a certificate authority. It is immutable and safe for concurrent use.
type CA struct {
	Cert *x509.Certificate
	PEM  []byte // Cert, as clients get it
	key  *ecdsa.PrivateKey
}

func newCA(name string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	// A name of its own for every CA made: clients that trust the CAs of several clusters then find the right one.
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, now.Unix())},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return encodeCert(der), keyPEM, err
}

func loadCA(dir, certName, keyName string, now time.Time) (*CA, error) {
	certPath, keyPath := filepath.Join(dir, certName), filepath.Join(dir, keyName)
	der, err := readPEM(certPath, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, damaged(certPath, "%w", err)
	}
	key, err := readKey(keyPath)
	if err != nil {
		return nil, err
	}
	switch pub, ok := cert.PublicKey.(*ecdsa.PublicKey); {
	case !ok || !pub.Equal(key.Public()):
		return nil, damaged(keyPath, "key does not belong to %s", certName)
	case !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, damaged(certPath, "certificate is not one of an authority")
	case now.After(cert.NotAfter):
		return nil, damaged(certPath, "certificate ended on %s", cert.NotAfter.Format(time.DateOnly))
	}
	return &CA{Cert: cert, PEM: encodeCert(der), key: key}, nil
}

// Pool holds just this CA.
func (ca *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.Cert)
	return p
}

// Leaf says what a certificate is for. Names and IPs are its subject alternative names.
type Leaf struct {
	CommonName   string
	Organization []string // the groups of a client
	Names        []string
	IPs          []net.IP
	Server       bool
	Client       bool
	Life         time.Duration // LeafLife when 0
}

// Issue makes a key and its certificate.
func (ca *CA) Issue(l Leaf) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.CommonName, Organization: l.Organization},
		DNSNames:    l.Names,
		IPAddresses: l.IPs,
		KeyUsage:    x509.KeyUsageDigitalSignature,
	}
	if l.Server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if l.Client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := ca.sign(t, key.Public(), l.Life)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %q: %w", l.CommonName, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// SignCSR issues a certificate for a request: subject, names and public key are the
// request's, everything else is given. The caller has decided that the request may be
// granted; only its self-signature is checked here. life is bounded by the CA's own.
func (ca *CA) SignCSR(csr *x509.CertificateRequest, usage x509.KeyUsage, ext []x509.ExtKeyUsage, life time.Duration) (certPEM []byte, err error) {
	if err := csr.CheckSignature(); err != nil {
		return nil, fault.New(fault.Invalid, "sign certificate request: %w", err)
	}
	der, err := ca.sign(&x509.Certificate{
		Subject:        csr.Subject,
		DNSNames:       csr.DNSNames,
		IPAddresses:    csr.IPAddresses,
		EmailAddresses: csr.EmailAddresses,
		URIs:           csr.URIs,
		KeyUsage:       usage,
		ExtKeyUsage:    ext,
	}, csr.PublicKey, life)
	if err != nil {
		return nil, fmt.Errorf("sign certificate request of %q: %w", csr.Subject.CommonName, err)
	}
	return encodeCert(der), nil
}

// sign completes t and signs it; life 0 means LeafLife.
func (ca *CA) sign(t *x509.Certificate, pub crypto.PublicKey, life time.Duration) ([]byte, error) {
	if life <= 0 {
		life = LeafLife
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t.SerialNumber = serial
	t.NotBefore, t.NotAfter = now.Add(-backdate), now.Add(life)
	if t.NotAfter.After(ca.Cert.NotAfter) {
		t.NotAfter = ca.Cert.NotAfter
	}
	t.BasicConstraintsValid = true
	return x509.CreateCertificate(rand.Reader, t, ca.Cert, pub, ca.key)
}

// newSerial is 127 random bits: positive, and at most 20 octets (RFC 5280 section 4.1.2.2).
func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// EncodePair gives a certificate made by Issue as PEM, for a kubeconfig or a Secret.
func EncodePair(c *tls.Certificate) (certPEM, keyPEM []byte, err error) {
	key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("encode key: %T is not an ECDSA key", c.PrivateKey)
	}
	keyPEM, err = encodeKey(key)
	return encodeCert(c.Certificate[0]), keyPEM, err
}
