// Package config says what a user can decide about a cluster, and where a cluster
// keeps what on the machine.
//
// The command line and the daemon share it; it decides nothing and starts nothing.
// Read config.go for the settings, read.go for the file they come from, layout.go for the places.
package config

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// DefaultName is the name of a cluster that was given none.
const DefaultName = "dhow"

// Config is one cluster's settings. Empty fields are chosen at the first start
// and kept in the data directory from then on.
type Config struct {
	Name    string `json:"name,omitempty"`
	DataDir string `json:"dataDir,omitempty"`
	// Listen is the API server's address: "127.0.0.1:6443". Pods reach it at the bridge in any case.
	Listen      string     `json:"listen,omitempty"`
	PodCIDR     string     `json:"podCIDR,omitempty"`     // "10.42.0.0/16"
	ServiceCIDR string     `json:"serviceCIDR,omitempty"` // "10.43.0.0/16"
	NodeName    string     `json:"nodeName,omitempty"`    // the host's name, lower case
	MaxPods     int        `json:"maxPods,omitempty"`
	Registries  Registries `json:"registries,omitempty"`
	// Registry is where this node's images are served over the OCI distribution API, without authentication: "127.0.0.1:5000".
	// Empty: nowhere.
	Registry string `json:"registry,omitempty"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `json:"logLevel,omitempty"`
}

// Registries says how image registries are reached.
type Registries struct {
	Mirrors  map[string][]string `json:"mirrors,omitempty"`  // "docker.io": ["mirror.local:5000"]
	Insecure []string            `json:"insecure,omitempty"` // "host:port" or CIDR
	CA       map[string]string   `json:"ca,omitempty"`       // registry: PEM file
}

var nameRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)

// Merge gives c's settings, and base's where c has none.
func (c Config) Merge(base Config) Config {
	pick(&c.Name, base.Name)
	pick(&c.DataDir, base.DataDir)
	pick(&c.Listen, base.Listen)
	pick(&c.PodCIDR, base.PodCIDR)
	pick(&c.ServiceCIDR, base.ServiceCIDR)
	pick(&c.NodeName, base.NodeName)
	pick(&c.LogLevel, base.LogLevel)
	pick(&c.Registry, base.Registry)
	if c.MaxPods == 0 {
		c.MaxPods = base.MaxPods
	}
	if c.Registries.Mirrors == nil {
		c.Registries.Mirrors = base.Registries.Mirrors
	}
	if c.Registries.Insecure == nil {
		c.Registries.Insecure = base.Registries.Insecure
	}
	if c.Registries.CA == nil {
		c.Registries.CA = base.Registries.CA
	}
	return c
}

func pick(s *string, base string) {
	if *s == "" {
		*s = base
	}
}

// Complete fills in the name and the data directory and checks everything that is set.
func (c Config) Complete() (Config, error) {
	pick(&c.Name, DefaultName)
	if _, err := (Config{Name: c.Name}).check(); err != nil { // before it becomes a path
		return c, err
	}
	pick(&c.DataDir, filepath.Join("/var/lib/dhow", c.Name))
	abs, err := filepath.Abs(c.DataDir)
	if err != nil {
		return c, err
	}
	c.DataDir = abs
	for registry, file := range c.Registries.CA {
		if c.Registries.CA[registry], err = filepath.Abs(file); err != nil {
			return c, err
		}
	}
	_, err = c.check()
	return c, err
}

// check looks at everything that is set, and names the key of what is wrong.
func (c Config) check() (key string, err error) {
	if c.Name != "" && !nameRule.MatchString(c.Name) {
		return "name", fault.New(fault.Invalid, "cluster name %q: use 1 to 20 lower-case letters, digits and dashes", c.Name)
	}
	for _, a := range []struct{ key, addr string }{{"listen", c.Listen}, {"registry", c.Registry}} {
		if err := checkAddress(a.addr); err != nil {
			return a.key, fault.New(fault.Invalid, "%s address %q: use ADDRESS:PORT, such as 127.0.0.1:6443 or 0.0.0.0:6443", a.key, a.addr)
		}
	}
	for _, n := range []struct{ key, cidr string }{{"podCIDR", c.PodCIDR}, {"serviceCIDR", c.ServiceCIDR}} {
		if n.cidr == "" {
			continue
		}
		if p, err := netip.ParsePrefix(n.cidr); err != nil || p.Bits() > 24 || !p.Addr().Is4() {
			return n.key, fault.New(fault.Invalid, "network %q: use an IPv4 prefix of at most /24 bits, such as 10.42.0.0/16", n.cidr)
		}
	}
	if c.MaxPods < 0 {
		return "maxPods", fault.New(fault.Invalid, "%d pods at most: use a positive number", c.MaxPods)
	}
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, c.LogLevel) {
		return "logLevel", fault.New(fault.Invalid, "log level %q: use debug, info, warn or error", c.LogLevel)
	}
	return "", nil
}

func checkAddress(addr string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err
}

// Saved reads what earlier starts decided for the cluster in a data directory; zero when there is none.
func Saved(dataDir string) (Config, error) {
	path := Layout{Data: dataDir}.Settings()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	return Read(path)
}

// Marshal gives the YAML that Read reads.
func (c Config) Marshal() ([]byte, error) { return yaml.Marshal(c) }
