package network

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dhow-project/dhow/internal/linux/nft"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func TestAddressesAreTakenOldestFirstAndNeverTwice(t *testing.T) {
	m := newIPAM([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/29"), netip.MustParsePrefix("fd00::/64")})
	if err := m.claim([]netip.Addr{netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("fd00::3")}); err != nil {
		t.Fatal(err)
	}
	var got []string
	var all [][]netip.Addr
	for {
		a, err := m.take()
		if err != nil {
			if !fault.Is(err, fault.Exhausted) {
				t.Error(err)
			}
			break
		}
		got, all = append(got, a[0].String()), append(all, a)
	}
	if diff := cmp.Diff([]string{"10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"}, got); diff != "" {
		t.Error(diff)
	}
	m.free(all[0])
	m.free(all[2])
	a, err := m.take()
	if err != nil || a[0].String() != "10.0.0.2" {
		t.Errorf("after freeing .2 and .5, with .6 the last taken: %v, %v", a, err)
	}
	if m.claim(a) == nil {
		t.Error("an address in use was claimed")
	}
}

func TestNamesFit(t *testing.T) {
	for _, name := range []string{"dhow", "a-rather-long-cluster-name", "with space", "x"} {
		n := namesFor(name)
		if len(n.bridge) > maxLinkName || !plain(n.bridge) || len(n.link()) != maxLinkName || !n.owns(n.link()) || n.owns(n.bridge) || n.group>>31 != 0 {
			t.Errorf("%q: %+v", name, n)
		}
	}
	if namesFor("a").owns(namesFor("b").link()) {
		t.Error("one manager's link looks like another's")
	}
}

func TestTable(t *testing.T) {
	m := &Manager{cfg: Config{Masquerade: true, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/24"), netip.MustParsePrefix("fd42::/64")},
		Direct: []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16")}}, names: namesFor("demo")}
	m.attached = map[string]*record{"a": {ID: "a", IPs: []netip.Addr{netip.MustParseAddr("10.42.0.2"), netip.MustParseAddr("fd42::2")},
		Ports: []PortMapping{{Protocol: "tcp", HostPort: 8080, ContainerPort: 80}, {Protocol: "udp", HostIP: "127.0.0.1", HostPort: 53, ContainerPort: 5353}, {Protocol: "tcp", HostIP: "::", HostPort: 81, ContainerPort: 81}}}}
	table := m.table()
	got := table.String()
	var lines []string
	for _, s := range table.Sets {
		for _, e := range s.Elements {
			lines = append(lines, s.Text(e))
		}
	}
	slices.Sort(lines)
	got += strings.Join(lines, "\n") + "\n"
	want, err := os.ReadFile("testdata/table.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		os.MkdirAll("testdata", 0o755)
		os.WriteFile("testdata/table.golden", []byte(got), 0o644)
	} else if diff := cmp.Diff(string(want), got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestPortBook(t *testing.T) {
	b := portBook{}
	if err := b.add("a", []PortMapping{{HostPort: 80, ContainerPort: 1, HostIP: "192.0.2.1"}, {HostPort: 53, Protocol: "udp", ContainerPort: 1}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    PortMapping
		want fault.Kind
		ok   bool
	}{
		{PortMapping{HostPort: 80, ContainerPort: 1, HostIP: "192.0.2.2"}, 0, true},
		{PortMapping{HostPort: 80, ContainerPort: 1}, fault.Exists, false},
		{PortMapping{HostPort: 80, ContainerPort: 1, HostIP: "192.0.2.1"}, fault.Exists, false},
		{PortMapping{HostPort: 53, ContainerPort: 1}, 0, true},
		{PortMapping{HostPort: 53, ContainerPort: 1, Protocol: "udp", HostIP: "127.0.0.1"}, fault.Exists, false},
		{PortMapping{HostPort: 1, ContainerPort: 1, Protocol: "icmp"}, fault.Invalid, false},
		{PortMapping{HostPort: 1, ContainerPort: 1, HostIP: "host"}, fault.Invalid, false},
		{PortMapping{HostPort: 1}, fault.Invalid, false},
		{PortMapping{HostPort: 1, ContainerPort: 1, HostIP: "::1"}, fault.Unsupported, false},
	} {
		err := b.add("b", []PortMapping{c.p})
		if (err == nil) != c.ok || err != nil && !fault.Is(err, c.want) {
			t.Errorf("%+v: %v", c.p, err)
		}
		b.remove("b")
	}
	b.remove("a")
	if len(b) != 0 {
		t.Errorf("left over: %v", b)
	}
}

func TestFirewallWarnings(t *testing.T) {
	got := firewallWarnings([]nft.BaseChain{{Table: "filter", Name: "FORWARD", Hook: "forward", Drops: true}, {Table: "ufw", Name: "in", Hook: "input", Drops: true}}, "dhow-x")
	if len(got) != 2 || !strings.Contains(got[0], "chain FORWARD of nftables table filter") || !strings.Contains(got[0], "iptables -I FORWARD -i dhow-x") || !strings.Contains(got[1], "published ports") {
		t.Errorf("%q", got)
	}
	if strings.Contains(strings.Join(got, ""), "%!") {
		t.Errorf("%q", got)
	}
}
