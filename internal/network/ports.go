package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// portBook knows who holds which host port.
type portBook map[hostPort][]portHolder

type hostPort struct {
	protocol string
	port     uint16
}

type portHolder struct {
	ip netip.Addr // unspecified: all
	id string
}

// normal checks a mapping and writes it the one way we compare it.
func (p PortMapping) normal() (PortMapping, netip.Addr, error) {
	if p.Protocol == "" {
		p.Protocol = "tcp"
	}
	if _, ok := protocolNumber(p.Protocol); !ok {
		return p, netip.Addr{}, fault.New(fault.Invalid, "publish port: protocol %q: want tcp, udp or sctp", p.Protocol)
	}
	if p.ContainerPort == 0 {
		return p, netip.Addr{}, fault.New(fault.Invalid, "publish port: a container port is needed")
	}
	ip := netip.IPv4Unspecified()
	if p.HostIP != "" {
		var err error
		if ip, err = netip.ParseAddr(p.HostIP); err != nil {
			return p, netip.Addr{}, fault.New(fault.Invalid, "publish port: host IP %q is not an address", p.HostIP)
		}
		ip = ip.Unmap()
	}
	if ip == netip.IPv6Loopback() {
		return p, netip.Addr{}, fault.New(fault.Unsupported, "publish port: the kernel cannot redirect [::1]: use 127.0.0.1")
	}
	return p, ip, nil
}

func protocolNumber(name string) (byte, bool) {
	switch name {
	case "tcp":
		return unix.IPPROTO_TCP, true
	case "udp":
		return unix.IPPROTO_UDP, true
	case "sctp":
		return unix.IPPROTO_SCTP, true
	}
	return 0, false
}

// choose reserves the ports for id, all or none, and fills in those left to us.
func (b portBook) choose(id string, wanted []PortMapping) ([]PortMapping, error) {
	out := make([]PortMapping, 0, len(wanted))
	for _, w := range wanted {
		p, ip, err := w.normal()
		if err == nil {
			p, err = b.reserve(id, p, ip)
		}
		if err != nil {
			b.remove(id)
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

const tries = 64 // for a free port that neither we nor a process has

func (b portBook) reserve(id string, p PortMapping, ip netip.Addr) (PortMapping, error) {
	chosen := p.HostPort != 0
	for range tries {
		port, err := probe(p.Protocol, ip, p.HostPort)
		if err != nil {
			return p, err
		}
		q := p
		q.HostPort = port
		if err = b.hold(id, q, ip); err == nil || chosen {
			return q, err
		}
	}
	return p, fault.New(fault.Exhausted, "publish port: no free host port found for container port %d/%s", p.ContainerPort, p.Protocol)
}

func (b portBook) hold(id string, p PortMapping, ip netip.Addr) error {
	key := hostPort{p.Protocol, p.HostPort}
	for _, h := range b[key] {
		if h.ip == ip || h.ip.IsUnspecified() || ip.IsUnspecified() {
			return fault.New(fault.Exists, "publish port: host port %d/%s is already published by %s", p.HostPort, p.Protocol, h.id)
		}
	}
	b[key] = append(b[key], portHolder{ip, id})
	return nil
}

// add takes over ports that an earlier process reserved.
func (b portBook) add(id string, ports []PortMapping) error {
	for _, w := range ports {
		p, ip, err := w.normal()
		if err == nil {
			err = b.hold(id, p, ip)
		}
		if err != nil {
			b.remove(id)
			return err
		}
	}
	return nil
}

func (b portBook) remove(id string) {
	for key, holders := range b {
		holders = slices.DeleteFunc(holders, func(h portHolder) bool { return h.id == id })
		if len(holders) == 0 {
			delete(b, key)
		} else {
			b[key] = holders
		}
	}
}

// probe binds the port for a moment: a process that listens there would otherwise silently
// lose its visitors to us. Port 0 lets the kernel choose.
func probe(protocol string, ip netip.Addr, port uint16) (uint16, error) {
	if protocol == "sctp" {
		protocol = "tcp" // Go cannot bind SCTP; another user of the number is rare enough
		if port != 0 {
			return port, nil
		}
	}
	host := ip.String()
	if ip.IsUnspecified() {
		host = ""
	}
	lc := net.ListenConfig{Control: reuse}
	addr, err := bindOnce(lc, protocol, net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return 0, probeError(err, protocol, ip, port)
	}
	return addr, nil
}

// reuse allows a port whose old connections are still in TIME_WAIT.
func reuse(network, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		if network[0] == 't' {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
	})
}

func bindOnce(lc net.ListenConfig, protocol, addr string) (uint16, error) {
	if protocol == "udp" {
		c, err := lc.ListenPacket(context.Background(), "udp", addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
	}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), nil
}

func probeError(err error, protocol string, ip netip.Addr, port uint16) error {
	what := fmt.Sprintf("publish port: host port %d/%s on %s", port, protocol, ip)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fault.New(fault.Exists, "%s is in use by a process of this host: stop it or choose another port", what)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fault.New(fault.Invalid, "%s: this host has no such address", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}
