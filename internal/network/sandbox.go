package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/netns"
)

// iface is the name of a sandbox's link inside.
const iface = "eth0"

// sandbox is a namespace that is wired up and has an address: everything that
// can be done before anybody asks for it.
//
// Its address is a /32 (or /128) with a route to the gateway, so packets between two
// sandboxes go through the host's IP layer instead of being switched: a Service's answer
// finds its way back through connection tracking without br_netfilter, and a policy in
// the forward hook sees them. Where br_netfilter is on nevertheless (Docker loads it), a
// redirected packet is switched after all, to its own port too when a sandbox asks for
// itself: hence hairpin, and hence no isolated ports.
type sandbox struct {
	name string // of the host link and the namespace file
	ips  []netip.Addr
}

func (m *Manager) netnsPath(name string) string { return filepath.Join(m.netnsDir(), name) }

// build makes a sandbox with the addresses, of a new namespace or one that is given.
func (m *Manager) build(ips []netip.Addr, from string) (*sandbox, error) {
	s := &sandbox{name: m.names.link(), ips: ips}
	wire := func(host *os.File) error { return m.wireInside(s, int(host.Fd())) }
	var err error
	if from == "" {
		err = netns.Create(m.netnsPath(s.name), wire)
	} else {
		err = netns.Adopt(m.netnsPath(s.name), from, wire)
	}
	if err == nil {
		err = m.wireOutside(s)
	}
	if err != nil {
		m.takeApart(s)
		return nil, fmt.Errorf("build sandbox: %w", err)
	}
	return s, nil
}

// wireInside runs in the new namespace.
func (m *Manager) wireInside(s *sandbox, host int) error {
	if err := quietNamespace(); err != nil {
		return err
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = iface, m.cfg.MTU, mac(s.ips[0])
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: s.name, PeerNamespace: netlink.NsFd(host), PeerMTU: uint32(m.cfg.MTU)}
	if err := h.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	for _, ip := range s.ips {
		if err := h.AddrAdd(veth, address(netip.PrefixFrom(ip, ip.BitLen()))); err != nil {
			return fmt.Errorf("add address %s: %w", ip, err)
		}
	}
	if err := h.LinkSetUp(veth); err != nil {
		return fmt.Errorf("set %s up: %w", iface, err)
	}
	return addRoutes(h, veth.Index, gateways(m.cfg.PodCIDRs))
}

func addRoutes(h *netlink.Handle, link int, gateways []netip.Addr) error {
	for _, gw := range gateways {
		onLink := &netlink.Route{LinkIndex: link, Scope: netlink.SCOPE_LINK, Dst: ipNet(netip.PrefixFrom(gw, gw.BitLen()))}
		if err := h.RouteAdd(onLink); err != nil {
			return fmt.Errorf("add route to gateway %s: %w", gw, err)
		}
		if err := h.RouteAdd(&netlink.Route{LinkIndex: link, Gw: gw.AsSlice()}); err != nil {
			return fmt.Errorf("add default route via %s: %w", gw, err)
		}
	}
	return nil
}

func (m *Manager) wireOutside(s *sandbox) error {
	link, err := m.host.LinkByName(s.name)
	if err != nil {
		return fmt.Errorf("find host link %s: %w", s.name, err)
	}
	if err := m.host.LinkSetMasterByIndex(link, m.bridge); err != nil {
		return fmt.Errorf("plug %s into bridge: %w", s.name, err)
	}
	if err := m.host.LinkSetHairpin(link, true); err != nil {
		return fmt.Errorf("set hairpin of %s: %w", s.name, err)
	}
	if err := m.host.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", s.name, err)
	}
	return nil
}

// takeApart removes links and namespaces; processes still inside are cut off. The links go together: the kernel
// waits some 25 ms for each deletion, or once for all that are in one group.
func (m *Manager) takeApart(dead ...*sandbox) error {
	var errs []error
	for _, s := range dead {
		errs = append(errs, m.condemnLink(s.name))
	}
	errs = append(errs, m.deleteCondemned())
	for _, s := range dead {
		errs = append(errs, netns.Delete(m.netnsPath(s.name)))
	}
	return errors.Join(errs...)
}

func (m *Manager) condemnLink(name string) error {
	link, err := m.host.LinkByName(name)
	if err == nil {
		err = m.host.LinkSetGroup(link, int(m.names.group))
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("condemn link %s: %w", name, err)
	}
	return nil
}

// deleteCondemned is "ip link delete group …" (rtnetlink(7), IFLA_GROUP).
func (m *Manager) deleteCondemned() error {
	req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(m.names.group)))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil && !isGone(err) {
		return fmt.Errorf("delete links of group %d: %w", m.names.group, err)
	}
	return nil
}

func isGone(err error) bool {
	return errors.As(err, &netlink.LinkNotFoundError{}) || errors.Is(err, unix.ENODEV)
}

func (m *Manager) deleteLink(name string) error {
	link, err := m.host.LinkByName(name)
	if err == nil {
		err = m.host.LinkDel(link)
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("delete link %s: %w", name, err)
	}
	return nil
}
