// Package network gives a sandbox a network namespace with an address, and
// publishes its ports on the host.
//
// It knows nothing of containers or Kubernetes: an id gets an attachment until it
// is detached. One bridge, one nftables table, one directory and links of one
// prefix are all it makes. Read this file first, then sandbox.go.
package network

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/nft"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Config of a Manager.
type Config struct {
	// Name of the engine or cluster, unique on the host: the bridge, the links and the table are called after it.
	Name string
	// Dir keeps records and pinned namespaces. It does not survive a reboot any better than they do.
	Dir string
	// PodCIDRs are the prefixes sandboxes get addresses from: at most one of each family. The first
	// address of each is the bridge's and their gateway.
	PodCIDRs []netip.Prefix
	// Direct are prefixes that are reached without masquerading besides PodCIDRs: the other nodes' sandboxes.
	Direct []netip.Prefix
	// Virtual are prefixes of addresses that exist only as somebody's translation, such as Services'. The
	// host gets a route to them over the bridge, so that its own connections there have a source address
	// even on a machine without a default route.
	Virtual []netip.Prefix
	MTU     int // bytes; 0: 1500
	// Masquerade gives traffic from sandboxes to elsewhere the host's address.
	Masquerade bool
	// Pool is how many sandboxes are kept ready; 0 means 8, -1 none.
	Pool int
	// RunDir is shared by all managers on the host and emptied by a reboot; "" means /run/dhow.
	RunDir string
	Log    *slog.Logger
}

// PortMapping publishes a port of a sandbox on the host.
type PortMapping struct {
	Protocol      string // "tcp", "udp", "sctp"; empty means tcp
	HostIP        string // empty, 0.0.0.0 or ::: every address of the host
	HostPort      uint16 // 0: a free one is chosen
	ContainerPort uint16
}

// AttachOptions of one sandbox.
type AttachOptions struct {
	Ports []PortMapping
	// NetNS is a network namespace to wire up instead of a new one: one that belongs to a user namespace, say.
	NetNS string
}

// Attachment is what a sandbox got.
type Attachment struct {
	ID      string
	NetNS   string // path to join with setns(2)
	IPs     []netip.Addr
	Gateway []netip.Addr // same families and order as IPs
	Iface   string       // inside
	MAC     string
	Ports   []PortMapping // with the host ports chosen
}

// Manager of one bridge and its sandboxes. Safe for concurrent use. Use Open.
type Manager struct {
	cfg   Config
	names names
	log   *slog.Logger
	host  *netlink.Handle
	hw    *run.Group // the housekeeper

	wake chan struct{} // tells the housekeeper to look

	nftMu sync.Mutex
	nft   *nft.Conn

	mu       sync.Mutex // guards what follows
	closed   bool
	ipam     *ipam
	attached map[string]*record
	busy     map[string]bool // ids being attached or detached
	ports    portBook
	pool     []*sandbox
	dead     []*sandbox // to be taken apart
	bridge   int        // link index
}

// Open makes the bridge, table and settings be as they should, takes over what an earlier
// process left in Dir, and throws away what is stale. Close it.
func Open(ctx context.Context, cfg Config) (*Manager, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE) // not XFRM too, which a kernel may lack
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	table, err := nft.Open()
	if err != nil {
		host.Close()
		return nil, fault.As(fault.Unsupported, err)
	}
	m := &Manager{cfg: cfg, names: namesFor(cfg.Name), log: cfg.Log, host: host, nft: table,
		wake: make(chan struct{}, 1), ipam: newIPAM(cfg.PodCIDRs), attached: map[string]*record{}, busy: map[string]bool{}, ports: portBook{}}
	if err := m.reconcileHost(); err != nil {
		host.Close()
		table.Close()
		return nil, err
	}
	m.hw = run.New(context.WithoutCancel(ctx))
	m.hw.Go("network housekeeper", m.housekeep)
	m.nudge()
	return m, nil
}

func (c *Config) complete() error {
	if c.Name == "" || c.Dir == "" || len(c.PodCIDRs) == 0 {
		return fault.New(fault.Invalid, "open network: name, directory and pod CIDR are needed")
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	switch {
	case c.Pool == 0:
		c.Pool = 8
	case c.Pool < 0:
		c.Pool = 0
	}
	if c.RunDir == "" {
		c.RunDir = "/run/dhow"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	seen := map[bool]bool{}
	for i, p := range c.PodCIDRs {
		p = p.Masked()
		if !p.IsValid() || seen[p.Addr().Is4()] || p.Addr().BitLen()-p.Bits() < 2 {
			return fault.New(fault.Invalid, "open network: pod CIDR %s: want at most one prefix per family with room for two addresses", c.PodCIDRs[i])
		}
		seen[p.Addr().Is4()] = true
		c.PodCIDRs[i] = p
	}
	return nil
}

// reconcileHost is the order of coming up.
func (m *Manager) reconcileHost() error {
	for _, dir := range []string{m.netnsDir(), m.dir("attached"), m.dir("pool"), m.dir("dead")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("open network: %w", err)
		}
	}
	if err := m.ensureSysctls(); err != nil {
		return fmt.Errorf("open network: %w", err)
	}
	if err := m.ensureBridge(); err != nil {
		return fmt.Errorf("open network: %w", err)
	}
	if err := m.adopt(); err != nil {
		return fmt.Errorf("open network: %w", err)
	}
	if err := m.nft.Replace(m.table()); err != nil {
		return fmt.Errorf("open network: %w", err)
	}
	return nil
}

// Gateway are the bridge's addresses: where sandboxes find this host.
func (m *Manager) Gateway() []netip.Addr { return gateways(m.cfg.PodCIDRs) }

// Bridge is the name of the bridge.
func (m *Manager) Bridge() string { return m.names.bridge }

func (m *Manager) dir(name string) string { return filepath.Join(m.cfg.Dir, name) }
func (m *Manager) netnsDir() string       { return m.dir("netns") }

// Close stops the housekeeper. Sandboxes, bridge and table stay as they are.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.hw.Stop()
	err := m.hw.Wait()
	m.host.Close()
	m.nft.Close()
	return err
}

// mac is made from an address, so that an address that is used again never meets
// a stale neighbour entry. The first byte says "locally administered".
func mac(a netip.Addr) net.HardwareAddr {
	b := a.As16()
	return net.HardwareAddr{0x0a, 0xd0, b[12], b[13], b[14], b[15]}
}
