package daemon

import (
	"net/netip"
	"os"
	"strings"

	"github.com/dhow-project/dhow/internal/engine"
)

// hostDNS is what plain containers get: the host's resolv.conf without servers that only the host can
// reach; where systemd-resolved is in between, the servers behind it.
func hostDNS() engine.DNS {
	for _, path := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if d := parseResolvConf(string(raw)); len(d.Servers) > 0 {
			return d
		}
	}
	return engine.DNS{}
}

// parseResolvConf reads resolv.conf(5).
func parseResolvConf(text string) engine.DNS {
	var d engine.DNS
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && !a.IsLoopback() {
				d.Servers = append(d.Servers, f[1])
			}
		case "search":
			d.Searches = f[1:]
		case "options":
			d.Options = append(d.Options, f[1:]...)
		}
	}
	return d
}
