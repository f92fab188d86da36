package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"time"
)

// maxLearned bounds the addresses a serving certificate learns from connections.
const maxLearned = 64

// Live is a certificate that renews itself when it is used: at two thirds of its life, and
// for servers also when an address is missing. It needs no goroutine. Safe for concurrent use.
type Live struct {
	ca  *CA
	now func() time.Time

	mu    sync.Mutex
	leaf  Leaf
	cur   *tls.Certificate
	renew time.Time
}

// NewLive makes a live certificate; the first one is issued at first use.
func NewLive(ca *CA, l Leaf) *Live {
	return &Live{ca: ca, leaf: l, now: time.Now}
}

// Certificate is the current one.
func (l *Live) Certificate() (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current()
}

func (l *Live) current() (*tls.Certificate, error) {
	now := l.now()
	if l.cur != nil && now.Before(l.renew) {
		return l.cur, nil
	}
	c, err := l.ca.Issue(l.leaf)
	if err != nil {
		return nil, err
	}
	life := c.Leaf.NotAfter.Sub(now)
	l.cur, l.renew = c, now.Add(life*2/3)
	return c, nil
}

// GetCertificate is for tls.Config. The address a client connected to is one of ours, so
// it joins the certificate: a machine whose address changed keeps working at once.
func (l *Live) GetCertificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h != nil && h.Conn != nil {
		if a, ok := h.Conn.LocalAddr().(*net.TCPAddr); ok {
			l.add(a.IP)
		}
	}
	return l.current()
}

// GetClientCertificate is for tls.Config.
func (l *Live) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return l.Certificate()
}

// SetNames replaces the subject alternative names; the certificate is issued anew at
// its next use if that changes anything.
func (l *Live) SetNames(names []string, ips []net.IP) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Equal(l.leaf.Names, names) && slices.EqualFunc(l.leaf.IPs, ips, net.IP.Equal) {
		return
	}
	l.leaf.Names, l.leaf.IPs, l.cur = slices.Clone(names), slices.Clone(ips), nil
}

func (l *Live) add(ip net.IP) {
	if len(l.leaf.IPs) >= maxLearned || slices.ContainsFunc(l.leaf.IPs, ip.Equal) {
		return
	}
	l.leaf.IPs, l.cur = append(slices.Clip(l.leaf.IPs), ip), nil
}

// ServerConfig is the TLS side of an API server or kubelet: certificate from l, client certificates
// asked for and passed on unverified (authentication judges them and answers 401, not a broken handshake).
func ServerConfig(l *Live, clientCAs *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: l.GetCertificate,
		ClientAuth:     tls.RequestClientCert,
		ClientCAs:      clientCAs,
	}
}
