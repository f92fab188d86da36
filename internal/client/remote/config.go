package remote

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Config says where the server is and who calls.
type Config struct {
	Server   string // https://host:port
	CA       []byte // PEM; empty means the system's
	Insecure bool   // the server's certificate is not checked
	Name     string // expected in the server's certificate; empty means the host's

	// Certificate is asked for at every new connection, so that it may renew itself; nil means none.
	Certificate func() (*tls.Certificate, error)
	Token       string // bearer token
	TokenFile   string // read anew for every request, preferred to Token
	UserAgent   string
}

const (
	pingAfter   = 15 * time.Second // a silent connection is probed, so that a dead watch is noticed
	pingTimeout = 10 * time.Second
)

func (c *Config) transport() (*http.Transport, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure, ServerName: c.Name}
	if len(c.CA) > 0 {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, fmt.Errorf("read the CA: no certificate in it")
		}
	}
	if get := c.Certificate; get != nil {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return get() }
	}
	return &http.Transport{
		TLSClientConfig: t, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second,
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}, nil
}

type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Contexts       []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server   string `json:"server"`
			CA       string `json:"certificate-authority"`
			CAData   string `json:"certificate-authority-data"`
			Insecure bool   `json:"insecure-skip-tls-verify"`
			Name     string `json:"tls-server-name"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User user   `json:"user"`
	} `json:"users"`
}

type user struct {
	Cert      string `json:"client-certificate"`
	CertData  string `json:"client-certificate-data"`
	Key       string `json:"client-key"`
	KeyData   string `json:"client-key-data"`
	Token     string `json:"token"`
	TokenFile string `json:"tokenFile"`
	Exec      any    `json:"exec"`
}

// FromKubeconfig reads a context of a kubeconfig file; the empty name means the current one.
// Client certificates and tokens are understood; an exec plugin is refused.
func FromKubeconfig(path, context string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	var k kubeconfig
	if err := yaml.Unmarshal(b, &k); err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", path, err)
	}
	if context == "" {
		context = k.CurrentContext
	}
	for _, c := range k.Contexts {
		if c.Name == context {
			return k.config(filepath.Dir(path), c.Context.Cluster, c.Context.User)
		}
	}
	return nil, fmt.Errorf("kubeconfig %s has no context %q: name one of its contexts", path, context)
}

func (k *kubeconfig) config(dir, cluster, name string) (*Config, error) {
	out := &Config{}
	for _, c := range k.Clusters {
		if c.Name != cluster {
			continue
		}
		ca, err := load(dir, c.Cluster.CA, c.Cluster.CAData)
		if err != nil {
			return nil, fmt.Errorf("read the CA of cluster %s: %w", cluster, err)
		}
		out.Server, out.CA, out.Insecure, out.Name = c.Cluster.Server, ca, c.Cluster.Insecure, c.Cluster.Name
	}
	if out.Server == "" {
		return nil, fmt.Errorf("kubeconfig has no server for cluster %q", cluster)
	}
	for _, u := range k.Users {
		if u.Name == name {
			return out, out.as(dir, u.User)
		}
	}
	return nil, fmt.Errorf("kubeconfig has no user %q", name)
}

func (c *Config) as(dir string, u user) error {
	if u.Exec != nil {
		return fmt.Errorf("exec credential plugins are not supported: use a client certificate or a token")
	}
	c.Token = u.Token
	if u.TokenFile != "" {
		c.TokenFile = resolve(dir, u.TokenFile)
	}
	cert, err := load(dir, u.Cert, u.CertData)
	if err != nil {
		return fmt.Errorf("read client certificate: %w", err)
	}
	if cert == nil {
		return nil
	}
	key, err := load(dir, u.Key, u.KeyData)
	if err != nil {
		return fmt.Errorf("read client key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("read client certificate: %w", err)
	}
	c.Certificate = func() (*tls.Certificate, error) { return &pair, nil }
	return nil
}

func load(dir, path, data string) ([]byte, error) {
	if data != "" {
		return base64.StdEncoding.DecodeString(strings.TrimSpace(data))
	}
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(resolve(dir, path))
}

func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
