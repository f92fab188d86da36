package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/x/atomicfile"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// settle decides what the user left open and keeps the decision in the data directory: a cluster has the
// same networks, port and node name for all its life.
func settle(c config.Config) (config.Config, error) {
	c, err := c.Complete()
	if err != nil {
		return c, err
	}
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
	if err := chooseNetworks(&c); err != nil {
		return c, err
	}
	if c.Listen == "" {
		if c.Listen, err = chooseListen(others(c.DataDir)); err != nil {
			return c, err
		}
	}
	raw, err := c.Marshal()
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return c, fmt.Errorf("make the data directory: %w", err)
	}
	if err := roomFor(c.DataDir); err != nil {
		return c, err
	}
	return c, atomicfile.Write(c.Places().Settings(), raw, 0o600)
}

// leastRoom is what a start needs at least: keys, a store and records, with some to spare.
const leastRoom = 64 << 20

// roomFor refuses to start on a full disk, where everything would fail half-way.
func roomFor(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < leastRoom {
		return fault.New(fault.Exhausted, "the disk of %s has only %d MB left: free some space, or choose another --data-dir", dir, free>>20)
	}
	return nil
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
func chooseNetworks(c *config.Config) error {
	if c.PodCIDR != "" && c.ServiceCIDR != "" {
		return nil
	}
	used, err := usedNetworks(c.DataDir)
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

// usedNetworks are those of this host's addresses and of the other clusters that keep their data beside ours.
func usedNetworks(dataDir string) ([]netip.Prefix, error) {
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
	for _, other := range others(dataDir) {
		for _, cidr := range []string{other.PodCIDR, other.ServiceCIDR} {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				used = append(used, p)
			}
		}
	}
	return used, nil
}

// others are the settings of the clusters that keep their data beside ours, whether they run or not.
func others(dataDir string) (out []config.Config) {
	paths, _ := filepath.Glob(filepath.Join(filepath.Dir(dataDir), "*", filepath.Base(config.Layout{}.Settings())))
	for _, path := range paths {
		if c, err := config.Read(path); err == nil && filepath.Dir(path) != dataDir {
			out = append(out, c)
		}
	}
	return out
}

// chooseListen takes the first port from 6443 on that is free and no other cluster's.
func chooseListen(others []config.Config) (string, error) {
	for port := 6443; port < 6543; port++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if slices.ContainsFunc(others, func(c config.Config) bool { return strings.HasSuffix(c.Listen, ":"+strconv.Itoa(port)) }) {
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

// lock makes sure that one daemon runs for a cluster and for a data directory. The kernel lets go of it whatever happens.
func lock(l config.Layout) (release func(), err error) {
	var held []*os.File
	release = func() {
		for _, f := range held {
			f.Close()
		}
	}
	for _, path := range []string{l.Lock(), filepath.Join(l.Data, "lock")} {
		f, err := flock(path)
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, f)
	}
	return release, nil
}
