package daemon

import (
	"net/netip"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/config"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// cluster is another one of this machine.
type cluster struct {
	config.Config
	here bool // it has something on the host since the last boot, and did not take it back
}

type clusters []cluster

// neighbours are the clusters that keep their data beside ours, whether they run or not, and all that have something on the
// host, wherever their data is: each leaves a link to it below /run/dhow.
func neighbours(l config.Layout) (out clusters) {
	seen := map[string]bool{}
	if own, err := filepath.EvalSymlinks(l.Data); err == nil {
		seen[own] = true
	}
	for _, at := range []struct {
		pattern string
		here    bool
	}{{filepath.Join(filepath.Dir(l.Run), "*", filepath.Base(l.Claim())), true}, {filepath.Join(filepath.Dir(l.Data), "*"), false}} {
		dirs, _ := filepath.Glob(at.pattern)
		for _, dir := range dirs {
			dir, err := filepath.EvalSymlinks(dir)
			if err != nil || seen[dir] {
				continue
			}
			seen[dir] = true
			if c, err := config.Saved(dir); err == nil && c.Name != "" {
				out = append(out, cluster{c, at.here})
			}
		}
	}
	return out
}

// claim lets other clusters find our settings until we are down.
func claim(l config.Layout) error {
	if to, err := os.Readlink(l.Claim()); err == nil && to == l.Data {
		return nil
	}
	if err := os.Remove(l.Claim()); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(l.Data, l.Claim())
}

// refuse says whose network ours is when it is taken: that of a cluster that was stopped when the other one chose, or was told.
func (n clusters) refuse(c config.Config) error {
	for _, other := range n {
		for _, p := range networksOf(c) {
			if other.here && overlaps(networksOf(other.Config), p) {
				return fault.New(fault.Exists, "cluster %q uses the network %s, too: stop it with 'dhow down --name %s --data-dir %s', or make this one with another --pod-cidr and --service-cidr", other.Name, p, other.Name, other.DataDir)
			}
		}
	}
	return nil
}

func networksOf(c config.Config) (out []netip.Prefix) {
	for _, cidr := range []string{c.PodCIDR, c.ServiceCIDR} {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			out = append(out, p)
		}
	}
	return out
}
