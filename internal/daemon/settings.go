package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/x/atomicfile"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// settle completes and checks the settings. No other dhow chooses until keepSettings wrote ours down, or stop is called.
func (d *daemon) settle(c config.Config) (err error) {
	if c, err = c.Complete(); err != nil {
		return err
	}
	d.layout = c.Places()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	release, err := alone(d.layout)
	if err != nil {
		return err
	}
	d.settled = release
	d.onStop(func() error { release(); return nil })
	d.config, err = settle(c, d.layout)
	return err
}

// checkRoom refuses a full disk, where everything would fail half-way.
func (d *daemon) checkRoom(context.Context) (string, error) { return "", d.layout.CheckRoom() }

func (d *daemon) keepSettings(context.Context) (string, error) {
	defer d.settled()
	return "", keep(d.config, d.layout)
}

// settle decides what the user left open: a cluster has the same networks, port and node name for all its
// life, so keep writes them down. Whoever calls it holds the machine's lock (alone) until then.
func settle(c config.Config, l config.Layout) (config.Config, error) {
	saved, err := config.Saved(c.DataDir)
	if err != nil {
		return c, err
	}
	if err := unchanged(c, saved); err != nil {
		return c, err
	}
	c = c.Merge(saved)
	if c.NodeName == "" {
		c.NodeName = hostname()
	}
	n := neighbours(l)
	if err := chooseNetworks(&c, n); err != nil {
		return c, err
	}
	if err := n.refuse(c); err != nil {
		return c, err
	}
	if c.Listen == "" {
		c.Listen, err = chooseListen(n)
	}
	return c, err
}

// keep writes down what was settled, and lets other clusters see it.
func keep(c config.Config, l config.Layout) error {
	raw, err := c.Marshal()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(l.Settings(), raw, 0o600); err != nil {
		return err
	}
	return claim(l)
}

// unchanged refuses what cannot be changed once objects carry it.
func unchanged(c, saved config.Config) error {
	for _, f := range []struct{ what, now, before string }{
		{"pod network", c.PodCIDR, saved.PodCIDR},
		{"service network", c.ServiceCIDR, saved.ServiceCIDR},
		{"node name", c.NodeName, saved.NodeName},
		{"name", c.Name, saved.Name},
	} {
		if f.now != "" && f.before != "" && f.now != f.before {
			return fault.New(fault.Invalid, "the %s of the cluster in %s is %s and cannot become %s: leave it out, or start anew after 'dhow down --purge'", f.what, c.DataDir, f.before, f.now)
		}
	}
	return nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9.-]+`)

func hostname() string {
	name, _ := os.Hostname()
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-.")
	if name == "" {
		return "node"
	}
	return name
}

// The first cluster of a machine gets the networks that k3s users know; others the next pair that is free.
const firstNetwork, lastNetwork = 42, 250

// chooseNetworks takes the first pair 10.N.0.0/16, 10.N+1.0.0/16 that no address of this host lies in and no
// other cluster has.
func chooseNetworks(c *config.Config, n clusters) error {
	if c.PodCIDR != "" && c.ServiceCIDR != "" {
		return nil
	}
	used, err := usedNetworks(n)
	if err != nil {
		return err
	}
	for n := firstNetwork; n < lastNetwork; n += 2 {
		pods, services := network16(n), network16(n+1)
		if overlaps(used, pods) || overlaps(used, services) {
			continue
		}
		if c.PodCIDR == "" {
			c.PodCIDR = pods.String()
		}
		if c.ServiceCIDR == "" {
			c.ServiceCIDR = services.String()
		}
		return nil
	}
	return fault.New(fault.Exhausted, "no free network in 10.0.0.0/8 for pods and services: choose with --pod-cidr and --service-cidr")
}

func network16(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n), 0, 0}), 16)
}

func overlaps(used []netip.Prefix, p netip.Prefix) bool {
	for _, u := range used {
		if u.Overlaps(p) {
			return true
		}
	}
	return false
}

// usedNetworks are those of this host's addresses and of other clusters.
func usedNetworks(n clusters) ([]netip.Prefix, error) {
	var used []netip.Prefix
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p)
		}
	}
	for _, other := range n {
		used = append(used, networksOf(other.Config)...)
	}
	return used, nil
}

// chooseListen takes the first port from 6443 on that is free and no other cluster's.
func chooseListen(n clusters) (string, error) {
	for port := 6443; port < 6543; port++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if slices.ContainsFunc(n, func(c cluster) bool { return strings.HasSuffix(c.Listen, ":"+strconv.Itoa(port)) }) {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err == nil {
			l.Close()
			return addr, nil
		}
	}
	return "", fault.New(fault.Exhausted, "no free port from 6443 to 6542 for the API server: choose one with --listen")
}
