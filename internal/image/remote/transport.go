package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Registries says how registries are reached, in the words of docker's daemon.json.
type Registries struct {
	// Mirrors maps a registry's name ("docker.io") to hosts tried before it, in order; "http://" in front makes it plain.
	Mirrors map[string][]string
	// Insecure registries may speak plain HTTP or show any certificate: "host:port", a host, or a CIDR.
	// Loopback addresses always are.
	Insecure []string
	// CA maps a registry's name to a PEM file with additional roots.
	CA map[string]string
	// CertDir holds <registry>/*.crt, *.cert and *.key as /etc/docker/certs.d does. Empty: that directory.
	CertDir string
}

// insecure reports whether a host ("name:port") may be reached without TLS or with any certificate.
func (r *Registries) insecure(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	addr, addrErr := netip.ParseAddr(strings.Trim(name, "[]"))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || addrErr == nil && addr.IsLoopback() {
		return true
	}
	for _, in := range r.Insecure {
		if in == host || in == name {
			return true
		}
		if p, err := netip.ParsePrefix(in); err == nil && addrErr == nil && p.Contains(addr) {
			return true
		}
	}
	return false
}

// transport refuses plain HTTP to a host that is not marked insecure, whatever the layers above
// would fall back to.
type transport struct {
	base         *http.Transport
	host         string
	plainAllowed bool
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && req.URL.Host == t.host && !t.plainAllowed {
		return nil, fault.New(fault.Unavailable, "%s does not speak TLS: mark it insecure to use it anyway", t.host)
	}
	return t.base.RoundTrip(req)
}

func (c *Client) transport(host string, plain bool) (*transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := host
	if plain {
		key = "http://" + host
	}
	if t, ok := c.transports[key]; ok {
		return t, nil
	}
	insecure := plain || c.reg.insecure(host)
	conf, err := c.reg.tls(host, insecure)
	if err != nil {
		return nil, fmt.Errorf("prepare TLS for %s: %w", host, err)
	}
	t := &transport{host: host, plainAllowed: insecure, base: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   8,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		ReadBufferSize:        64 << 10,
		WriteBufferSize:       64 << 10,
	}}
	c.transports[key] = t
	return t, nil
}

func (r *Registries) tls(host string, insecure bool) (*tls.Config, error) {
	conf := &tls.Config{InsecureSkipVerify: insecure, MinVersion: tls.VersionTLS12}
	var files []string
	if f := r.CA[host]; f != "" {
		files = append(files, f)
	}
	dir := r.CertDir
	if dir == "" {
		dir = "/etc/docker/certs.d"
	}
	dir = filepath.Join(dir, filepath.Base(host))
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		switch p := filepath.Join(dir, e.Name()); filepath.Ext(p) {
		case ".crt":
			files = append(files, p)
		case ".cert":
			pair, err := tls.LoadX509KeyPair(p, strings.TrimSuffix(p, ".cert")+".key")
			if err != nil {
				return nil, err
			}
			conf.Certificates = append(conf.Certificates, pair)
		}
	}
	if len(files) == 0 {
		return conf, nil
	}
	if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
		conf.RootCAs = x509.NewCertPool()
	}
	for _, f := range files {
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "%s holds no certificate", f)
		}
	}
	return conf, nil
}
