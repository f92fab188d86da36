package webhook

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// clients are kept by whom they trust and whom they expect, so that connections are used again.
type clients struct {
	mu   sync.Mutex
	used uint64
	by   map[trust]*kept
}

type trust struct {
	name string // of the certificate; empty means the URL's host
	ca   [sha256.Size]byte
}

type kept struct {
	client *http.Client
	used   uint64
}

// maxClients bounds what is kept for webhooks that may be gone.
const maxClients = 64

func (c *clients) get(t Target) (*http.Client, error) {
	key := trust{ca: sha256.Sum256(t.CABundle)}
	if t.Service != nil {
		key.name = t.Service.host()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used++
	if k := c.by[key]; k != nil {
		k.used = c.used
		return k.client, nil
	}
	client, err := newClient(key.name, t.CABundle)
	if err != nil {
		return nil, err
	}
	if c.by == nil {
		c.by = map[trust]*kept{}
	}
	if len(c.by) == maxClients {
		c.dropOldest()
	}
	c.by[key] = &kept{client, c.used}
	return client, nil
}

func (c *clients) dropOldest() {
	var oldest trust
	least := c.used
	for key, k := range c.by {
		if k.used < least {
			oldest, least = key, k.used
		}
	}
	c.by[oldest].client.CloseIdleConnections()
	delete(c.by, oldest)
}

func newClient(name string, ca []byte) (*http.Client, error) {
	cfg := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the webhook's caBundle has no PEM certificate")
		}
	}
	tr := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     60 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if name == "" {
		tr.Proxy = http.ProxyFromEnvironment // services are reached directly
	}
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
