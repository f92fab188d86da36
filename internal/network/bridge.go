package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// ensureBridge makes or repairs the bridge. Its MAC is set, else it would follow
// its ports' and every sandbox's neighbour entry would break when one leaves.
func (m *Manager) ensureBridge() error {
	name := m.names.bridge
	link, err := m.host.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		link, err = m.makeBridge()
	}
	if err != nil {
		return fmt.Errorf("ensure bridge %s: %w", name, err)
	}
	if link.Type() != "bridge" {
		return fault.New(fault.Exists, "ensure bridge %s: a link of type %s has that name: remove it or choose another cluster name", name, link.Type())
	}
	m.bridge = link.Attrs().Index
	if err := m.repairBridge(link); err != nil {
		return fmt.Errorf("ensure bridge %s: %w", name, err)
	}
	return nil
}

func (m *Manager) makeBridge() (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = m.names.bridge, m.cfg.MTU, mac(gateways(m.cfg.PodCIDRs)[0])
	if err := m.host.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, err
	}
	return m.host.LinkByName(attrs.Name)
}

func (m *Manager) repairBridge(link netlink.Link) error {
	if link.Attrs().MTU != m.cfg.MTU {
		if err := m.host.LinkSetMTU(link, m.cfg.MTU); err != nil {
			return fmt.Errorf("set mtu %d: %w", m.cfg.MTU, err)
		}
	}
	if err := m.bridgeSysctls(); err != nil {
		return err
	}
	if err := m.bridgeAddresses(link); err != nil {
		return err
	}
	if err := m.host.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	return m.virtualRoutes(link)
}

func (m *Manager) virtualRoutes(link netlink.Link) error {
	for _, v := range m.cfg.Virtual {
		for _, gw := range gateways(m.cfg.PodCIDRs) {
			if gw.Is4() != v.Addr().Is4() {
				continue
			}
			r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(v.Masked()), Src: gw.AsSlice(), Scope: netlink.SCOPE_LINK}
			if err := m.host.RouteReplace(r); err != nil {
				return fmt.Errorf("add route to %s: %w", v, err)
			}
		}
	}
	return nil
}

func (m *Manager) bridgeAddresses(link netlink.Link) error {
	present, err := m.host.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	wanted := map[string]bool{}
	for _, p := range m.cfg.PodCIDRs {
		wanted[netip.PrefixFrom(gateway(p), p.Bits()).String()] = true
	}
	for _, a := range present {
		switch {
		case wanted[a.IPNet.String()]:
			delete(wanted, a.IPNet.String())
		case !a.IP.IsLinkLocalUnicast():
			if err := m.host.AddrDel(link, &a); err != nil {
				return fmt.Errorf("remove old address %s: %w", a.IPNet, err)
			}
		}
	}
	for s := range wanted {
		if err := m.host.AddrAdd(link, address(netip.MustParsePrefix(s))); err != nil {
			return fmt.Errorf("add address %s: %w", s, err)
		}
	}
	return nil
}

// address for netlink. Nobody else can have ours, so IPv6 need not probe for it for a second.
func address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
