package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const procSys = "/proc/sys/net"

func readSysctl(path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(procSys, path))
	return strings.TrimSpace(string(b)), err
}

func writeSysctl(path, value string) error {
	f, err := os.OpenFile(filepath.Join(procSys, path), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set sysctl net/%s: %w", path, err)
	}
	defer f.Close()
	if _, err := f.WriteString(value); err != nil {
		return fmt.Errorf("set sysctl net/%s to %s: %w", path, value, err)
	}
	return nil
}

// Settings of the host are shared: other managers, and the administrator, rely on them too. Each setting we
// change has a directory below RunDir/sysctl that remembers the value found and who needs ours:
//
//	<RunDir>/sysctl/ipv4+ip_forward/{found,users/<name>}
//
// The last user to leave writes the found value back, unless somebody else changed it meanwhile.
// RunDir is emptied by a reboot, and so are sysctls.

// hostSysctls lists what must be set, in order.
func (m *Manager) hostSysctls() ([][2]string, error) {
	out := [][2]string{{ipForward, "1"}}
	for _, p := range m.cfg.PodCIDRs {
		if !p.Addr().Is6() {
			continue
		}
		// A forwarding host ignores router advertisements, and with them its own default
		// route, unless accept_ra is 2 (Documentation/networking/ip-sysctl.rst).
		ra, err := m.linksAcceptingRA()
		if err != nil {
			return nil, err
		}
		out = append(append(out, ra...), [2]string{"ipv6/conf/all/forwarding", "1"})
	}
	return out, nil
}

func (m *Manager) linksAcceptingRA() ([][2]string, error) {
	links, err := os.ReadDir(filepath.Join(procSys, "ipv6/conf"))
	if err != nil {
		return nil, fmt.Errorf("read IPv6 settings (is IPv6 disabled?): %w", err)
	}
	var out [][2]string
	for _, l := range links {
		path := "ipv6/conf/" + l.Name() + "/accept_ra"
		fwd, _ := readSysctl("ipv6/conf/" + l.Name() + "/forwarding")
		if v, err := readSysctl(path); err == nil && v == "1" && fwd == "0" && l.Name() != "lo" && l.Name() != "all" && l.Name() != m.names.bridge && !m.names.owns(l.Name()) {
			out = append(out, [2]string{path, "2"})
		}
	}
	return out, nil
}

func (m *Manager) ensureSysctls() error {
	unlock, err := m.lockSysctls()
	if err != nil {
		return err
	}
	defer unlock()
	wanted, err := m.hostSysctls()
	if err != nil {
		return err
	}
	for _, w := range wanted {
		if err := m.ensureSysctl(w[0], w[1]); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) sysctlDir() string { return filepath.Join(m.cfg.RunDir, "sysctl") }

func (m *Manager) lockSysctls() (func(), error) {
	if err := os.MkdirAll(m.sysctlDir(), 0o755); err != nil {
		return nil, fmt.Errorf("remember sysctls: %w", err)
	}
	f, err := os.Open(m.sysctlDir())
	if err != nil {
		return nil, fmt.Errorf("remember sysctls: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

func (m *Manager) ensureSysctl(path, value string) error {
	found, err := readSysctl(path)
	if err != nil {
		return fmt.Errorf("read sysctl: %w", err)
	}
	dir := filepath.Join(m.sysctlDir(), strings.ReplaceAll(path, "/", "+"))
	_, err = os.Stat(filepath.Join(dir, "found"))
	if found == value && err != nil {
		return nil // it was like this before any of us: nothing to give back
	}
	if err := os.MkdirAll(filepath.Join(dir, "users"), 0o755); err != nil {
		return fmt.Errorf("remember sysctl: %w", err)
	}
	if err != nil {
		if err := rememberSysctl(dir, path, found+" "+value); err != nil {
			return fmt.Errorf("remember sysctl: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "users", m.cfg.Name), nil, 0o644); err != nil {
		return fmt.Errorf("remember sysctl: %w", err)
	}
	if found == value {
		return nil
	}
	return writeSysctl(path, value)
}

// Switching forwarding also switches whether redirects are accepted, both ways (ip-sysctl.rst, ip_forward).
const (
	ipForward       = "ipv4/ip_forward"
	acceptRedirects = "ipv4/conf/all/accept_redirects"
)

// rememberSysctl writes "found" last: it says that the rest is complete.
func rememberSysctl(dir, path, found string) error {
	if path == ipForward {
		v, err := readSysctl(acceptRedirects)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "redirects"), []byte(v), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "found"), []byte(found), 0o644)
}

func (m *Manager) restoreSysctls() error {
	unlock, err := m.lockSysctls()
	if err != nil {
		return err
	}
	defer unlock()
	all, err := os.ReadDir(m.sysctlDir())
	if err != nil {
		return fmt.Errorf("restore sysctls: %w", err)
	}
	var errs []error
	for _, d := range all {
		errs = append(errs, m.leaveSysctl(filepath.Join(m.sysctlDir(), d.Name()), strings.ReplaceAll(d.Name(), "+", "/")))
	}
	os.Remove(m.sysctlDir()) // only when empty
	os.Remove(m.cfg.RunDir)
	return errors.Join(errs...)
}

func (m *Manager) leaveSysctl(dir, path string) error {
	if err := os.Remove(filepath.Join(dir, "users", m.cfg.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Remove(filepath.Join(dir, "users")) != nil {
		return nil // somebody else needs it
	}
	b, err := os.ReadFile(filepath.Join(dir, "found"))
	if err != nil {
		return err
	}
	found, ours, _ := strings.Cut(string(b), " ")
	if now, err := readSysctl(path); err == nil && now == ours {
		if err := writeSysctl(path, found); err != nil {
			return err
		}
		if v, err := os.ReadFile(filepath.Join(dir, "redirects")); err == nil {
			if err := writeSysctl(acceptRedirects, string(v)); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(dir)
}

// bridgeSysctls belong to the bridge and go with it. route_localnet lets answers to the host's own
// connections to 127.0.0.1:<published port> come back in; the table's guard chain
// keeps everything else out of 127.0.0.0/8.
func (m *Manager) bridgeSysctls() error {
	br := m.names.bridge
	if err := writeSysctl("ipv4/conf/"+br+"/route_localnet", "1"); err != nil {
		return err
	}
	for _, s := range []string{"accept_ra", "accept_dad"} {
		if err := writeSysctl("ipv6/conf/"+br+"/"+s, "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// quietNamespace runs in a new namespace. A redirect must not lead a sandbox around the host, and
// nobody there announces routes or needs to probe for addresses that only we give out.
func quietNamespace() error {
	for _, s := range [][2]string{
		{"ipv4/conf/all/accept_redirects", "0"}, {"ipv4/conf/default/accept_redirects", "0"},
		{"ipv6/conf/all/accept_redirects", "0"}, {"ipv6/conf/default/accept_redirects", "0"},
		{"ipv6/conf/default/accept_ra", "0"}, {"ipv6/conf/default/accept_dad", "0"},
	} {
		if err := writeSysctl(s[0], s[1]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
