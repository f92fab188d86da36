package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/dhow-project/dhow/internal/linux/netns"
	"github.com/dhow-project/dhow/internal/linux/netns/netnstest"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func config(t testing.TB, name string, cidrs ...string) Config {
	t.Helper()
	netnstest.Need(t)
	c := Config{Name: name, Dir: filepath.Join(t.TempDir(), "net"), RunDir: filepath.Join(t.TempDir(), "run"), Masquerade: true, Pool: 2}
	for _, s := range cidrs {
		c.PodCIDRs = append(c.PodCIDRs, netip.MustParsePrefix(s))
	}
	return c
}

func open(t testing.TB, c Config) *Manager {
	t.Helper()
	m, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

func attach(t testing.TB, m *Manager, id string, ports ...PortMapping) Attachment {
	t.Helper()
	a, err := m.Attach(t.Context(), id, AttachOptions{Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve answers every connection inside the sandbox with text and the visitor's address.
func serve(t testing.TB, a Attachment, addr, text string) {
	t.Helper()
	var l net.Listener
	err := netns.Do(a.NetNS, func() (err error) { l, err = net.Listen("tcp", addr); return err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			fmt.Fprintf(c, "%s %s", text, host)
			c.Close()
		}
	}()
}

func ask(from, addr string) (string, error) {
	var c net.Conn
	dial := func() (err error) { c, err = net.DialTimeout("tcp", addr, 2*time.Second); return err }
	err := dial
	var failed error
	if from == "" {
		failed = err()
	} else {
		failed = netns.Do(from, err)
	}
	if failed != nil {
		return "", failed
	}
	defer c.Close()
	b, failed := io.ReadAll(c)
	return string(b), failed
}

func wantAnswer(t testing.TB, from, addr, want string) {
	t.Helper()
	got, err := ask(from, addr)
	if err != nil || got != want {
		t.Errorf("ask %s = %q, %v; want %q", addr, got, err, want)
	}
}

func TestSandboxesReachEachOther(t *testing.T) {
	m := open(t, config(t, "reach", "10.250.1.0/24", "fd50:1::/64"))
	a, b := attach(t, m, "a"), attach(t, m, "b")
	serve(t, b, ":80", "b")
	for i := range a.IPs {
		to := netip.AddrPortFrom(b.IPs[i], 80).String()
		wantAnswer(t, a.NetNS, to, "b "+a.IPs[i].String())
		wantAnswer(t, "", to, "b "+m.Gateway()[i].String())
	}
	c, err := m.Dial(t.Context(), "b", 80)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c)
	c.Close()
	if string(got) != "b 127.0.0.1" {
		t.Errorf("Dial = %q", got)
	}
	if s, err := m.Stats("b"); err != nil || s.RxBytes == 0 || s.TxBytes == 0 {
		t.Errorf("Stats = %+v, %v", s, err)
	}
}

func TestPublishedPorts(t *testing.T) {
	m := open(t, config(t, "ports", "10.250.2.0/24"))
	a := attach(t, m, "a", PortMapping{HostPort: 8080, ContainerPort: 80}, PortMapping{HostIP: "127.0.0.1", HostPort: 8081, ContainerPort: 80}, PortMapping{ContainerPort: 80})
	b := attach(t, m, "b")
	serve(t, a, ":80", "a")
	gw := m.Gateway()[0].String()
	wantAnswer(t, "", "127.0.0.1:8080", "a "+gw)
	wantAnswer(t, "", "127.0.0.1:8081", "a "+gw)
	wantAnswer(t, "", fmt.Sprintf("127.0.0.1:%d", a.Ports[2].HostPort), "a "+gw)
	wantAnswer(t, b.NetNS, gw+":8080", "a "+b.IPs[0].String())
	wantAnswer(t, a.NetNS, gw+":8080", "a "+gw) // hairpin
	if _, err := ask(b.NetNS, gw+":8081"); err == nil {
		t.Error("a port published on 127.0.0.1 is reachable from a sandbox")
	}
	_, err := m.Attach(t.Context(), "c", AttachOptions{Ports: []PortMapping{{HostIP: "10.250.2.1", HostPort: 8080, ContainerPort: 1}}})
	if !fault.Is(err, fault.Exists) || !strings.Contains(err.Error(), "by a") {
		t.Errorf("conflict: %v", err)
	}
	if err := m.Detach(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := ask("", "127.0.0.1:8080"); err == nil {
		t.Error("port still open after detach")
	}
}

func TestLoopbackOfHostIsClosedToSandboxes(t *testing.T) {
	m := open(t, config(t, "guard", "10.250.3.0/24"))
	a := attach(t, m, "a")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// A hostile sandbox would route 127.0.0.0/8 to the gateway.
	err = netns.Do(a.NetNS, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		os.WriteFile("/proc/sys/net/ipv4/conf/eth0/route_localnet", []byte("1"), 0)
		if err := netlink.LinkSetDown(lo); err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: m.Gateway()[0].AsSlice(), Dst: ipNet(netip.MustParsePrefix("127.0.0.0/8"))})
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ask(a.NetNS, l.Addr().String()); err == nil {
		t.Errorf("reached the host's loopback: %q", got)
	}
}

func TestRestartKeepsAttachmentsAndDropsTheRest(t *testing.T) {
	c := config(t, "again", "10.250.4.0/24")
	m, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	a := attach(t, m, "a", PortMapping{HostPort: 8090, ContainerPort: 80})
	attach(t, m, "b")
	serve(t, a, ":80", "a")
	m.Close()
	os.WriteFile(filepath.Join(c.Dir, "attached", "torn"), []byte("{"), 0o600)

	n := open(t, c)
	if err := n.Reconcile(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	again, err := n.Attachment("a")
	if diff := cmp.Diff(a, again, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); err != nil || diff != "" {
		t.Errorf("after restart: %v\n%s", err, diff)
	}
	if _, err := n.Attachment("b"); !fault.Is(err, fault.NotFound) {
		t.Errorf("b after reconcile: %v", err)
	}
	wantAnswer(t, "", "127.0.0.1:8090", "a 10.250.4.1")
}

func TestTwoManagersSideBySide(t *testing.T) {
	c1, c2 := config(t, "one", "10.250.5.0/24"), config(t, "a-rather-long-cluster-name", "10.250.6.0/24")
	c2.RunDir = c1.RunDir
	if err := writeSysctl(acceptRedirects, "0"); err != nil {
		t.Fatal(err)
	}
	before := hostState(t)
	m1, err := Open(t.Context(), c1)
	if err != nil {
		t.Fatal(err)
	}
	m2, err := Open(t.Context(), c2)
	if err != nil {
		t.Fatal(err)
	}
	attach(t, m1, "x")
	b := attach(t, m2, "x")
	serve(t, b, ":80", "b")
	if err := m1.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, "", b.IPs[0].String()+":80", "b 10.250.6.1")
	if v, _ := readSysctl("ipv4/ip_forward"); v != "1" {
		t.Error("forwarding was switched off under the other manager")
	}
	if err := m2.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, hostState(t)); diff != "" {
		t.Errorf("host after purge (-before +after):\n%s", diff)
	}
}

// hostState is what must be the same before and after.
func hostState(t testing.TB) []string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range links {
		out = append(out, l.Attrs().Name)
	}
	for _, s := range []string{ipForward, acceptRedirects, "ipv6/conf/all/forwarding"} {
		v, err := readSysctl(s)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		out = append(out, s+"="+v)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, string(mounts))
}

// One operation is 50 attachments from a full pool.
func BenchmarkAttach50(b *testing.B) {
	c := config(b, "bench", "10.250.128.0/17")
	c.Pool = 50
	m := open(b, c)
	for b.Loop() {
		b.StopTimer()
		if err := m.Reconcile(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		for full := false; !full; time.Sleep(time.Millisecond) {
			m.mu.Lock()
			full = len(m.pool) == m.cfg.Pool && len(m.dead) == 0
			m.mu.Unlock()
		}
		b.StartTimer()
		for i := range 50 {
			attach(b, m, fmt.Sprint("s", i))
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	c := config(b, "build", "10.250.128.0/17")
	c.Pool = -1
	m := open(b, c)
	for b.Loop() {
		ips, err := m.ipam.take()
		if err != nil {
			b.Fatal(err)
		}
		s, err := m.build(ips, "")
		if err != nil {
			b.Fatal(err)
		}
		m.dead = append(m.dead, s)
	}
}

func BenchmarkTakeApart50(b *testing.B) {
	c := config(b, "apart", "10.250.128.0/17")
	c.Pool = -1
	m := open(b, c)
	for b.Loop() {
		b.StopTimer()
		var all []*sandbox
		for range 50 {
			ips, err := m.ipam.take()
			if err != nil {
				b.Fatal(err)
			}
			s, err := m.build(ips, "")
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, s)
		}
		b.StartTimer()
		if err := m.takeApart(all...); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOutsideSeesTheHost(t *testing.T) {
	m := open(t, config(t, "masq", "10.250.7.0/24"))
	a := attach(t, m, "a", PortMapping{HostPort: 8070, ContainerPort: 80})
	serve(t, a, ":80", "a")
	outside := Attachment{NetNS: filepath.Join(t.TempDir(), "outside")}
	err := netns.Create(outside.NetNS, func(host *os.File) error {
		v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "outside", PeerNamespace: netlink.NsFd(int(host.Fd()))}
		if err := netlink.LinkAdd(v); err != nil {
			return err
		}
		if err := netlink.AddrAdd(v, address(netip.MustParsePrefix("198.51.100.2/24"))); err != nil {
			return err
		}
		return netlink.LinkSetUp(v)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netns.Delete(outside.NetNS) })
	l, err := netlink.LinkByName("outside")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(l) })
	if err := netlink.AddrAdd(l, address(netip.MustParsePrefix("198.51.100.1/24"))); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	serve(t, outside, "198.51.100.2:90", "out")
	wantAnswer(t, a.NetNS, "198.51.100.2:90", "out 198.51.100.1")
	wantAnswer(t, outside.NetNS, "198.51.100.1:8070", "a 198.51.100.2") // published: the visitor is seen as it is
	l2, err := net.Listen("tcp", ":8071")
	if err != nil {
		t.Fatal(err)
	}
	defer l2.Close()
	if _, err := m.Attach(t.Context(), "b", AttachOptions{Ports: []PortMapping{{HostPort: 8071, ContainerPort: 80}}}); !fault.Is(err, fault.Exists) {
		t.Errorf("a port that a process of the host has: %v", err)
	}
}
