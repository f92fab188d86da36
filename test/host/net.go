package main

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

func links() ([]string, error) {
	all, err := netlink.LinkList()
	var out []string
	for _, l := range all {
		out = append(out, l.Attrs().Name+" "+l.Type())
	}
	return out, err
}

func addresses() ([]string, error) {
	names := map[int]string{}
	all, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	var out []string
	for _, a := range addrs {
		out = append(out, fmt.Sprintf("%s on %s", a.IPNet, names[a.LinkIndex]))
	}
	return out, err
}

func routes() ([]string, error) {
	names := map[int]string{}
	all, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	rs, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	var out []string
	for _, r := range rs {
		out = append(out, fmt.Sprintf("%v via %v on %s in table %d", r.Dst, r.Gw, names[r.LinkIndex], r.Table))
	}
	return out, err
}

func rules() ([]string, error) {
	rs, err := netlink.RuleList(netlink.FAMILY_ALL)
	var out []string
	for _, r := range rs {
		out = append(out, fmt.Sprintf("%d: from %v to %v table %d", r.Priority, r.Src, r.Dst, r.Table))
	}
	return out, err
}

// tables are nftables', with their chains.
func tables() ([]string, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	ts, err := c.ListTables()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range ts {
		out = append(out, fmt.Sprintf("%s family %d", t.Name, t.Family))
	}
	chains, err := c.ListChains()
	for _, ch := range chains {
		out = append(out, fmt.Sprintf("%s family %d chain %s", ch.Table.Name, ch.Table.Family, ch.Name))
	}
	return out, err
}
