package dns

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// systemdConf has the real resolvers where resolv.conf only names systemd's own stub (systemd-resolved.service(8)).
const systemdConf = "/run/systemd/resolve/resolv.conf"

const (
	maxResolvers = 8
	maxConf      = 64 << 10 // bytes of a resolv.conf
)

// parseResolvers reads the nameserver lines of resolv.conf(5) as addresses to dial.
func parseResolvers(r io.Reader) []string {
	var out []string
	lines := bufio.NewScanner(io.LimitReader(r, maxConf))
	for lines.Scan() && len(out) < maxResolvers {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			out = append(out, net.JoinHostPort(a.String(), "53"))
		}
	}
	return out
}

// resolvers of a host: those of path, or the real ones behind systemd's stub; never ourselves.
func resolvers(path string, own []netip.AddrPort) ([]string, error) {
	list, err := readResolvers(path)
	if err != nil {
		return nil, err
	}
	stub := false
	for _, a := range list {
		stub = stub || a == "127.0.0.53:53" || a == "127.0.0.54:53"
	}
	if stub {
		if real, err := readResolvers(systemdConf); err == nil && len(real) > 0 {
			list = real
		}
	}
	var out []string
	for _, a := range list {
		if !isOwn(a, own) {
			out = append(out, a)
		}
	}
	return out, nil
}

func isOwn(addr string, own []netip.AddrPort) bool {
	for _, o := range own {
		if o.String() == addr {
			return true
		}
	}
	return false
}

func readResolvers(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseResolvers(f), nil
}

// watchResolvConf follows the host's resolvers as it moves between networks. The directories are
// watched, for the file itself is usually replaced.
func (s *Server) watchResolvConf(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	defer w.Close()
	files := map[string]bool{s.cfg.ResolvConf: true, systemdConf: true}
	if real, err := filepath.EvalSymlinks(s.cfg.ResolvConf); err == nil {
		files[real] = true
	}
	for f := range files {
		if err := w.Add(filepath.Dir(f)); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("watch %s: %w", filepath.Dir(f), err)
		}
	}
	s.reloadResolvers()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if files[e.Name] && !e.Has(fsnotify.Chmod) {
				s.reloadResolvers()
			}
		case err := <-w.Errors: // events were lost
			s.cfg.Log.Warn("watching resolv.conf", "err", err)
			s.reloadResolvers()
		}
	}
}

func (s *Server) reloadResolvers() {
	own := s.cfg.Listen
	for _, a := range s.cfg.Addresses {
		own = append(own[:len(own):len(own)], netip.AddrPortFrom(a, 53))
	}
	list, err := resolvers(s.cfg.ResolvConf, own)
	if err != nil {
		s.cfg.Log.Warn("upstream resolvers not read", "file", s.cfg.ResolvConf, "err", err)
		return
	}
	if len(list) == 0 {
		s.cfg.Log.Warn("no upstream resolver: only names of the cluster resolve", "file", s.cfg.ResolvConf)
	}
	s.forward.use(list)
}
