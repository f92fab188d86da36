package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/linux/netns"
	"github.com/dhow-project/dhow/internal/linux/netns/netnstest"
	"github.com/dhow-project/dhow/internal/network"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

const (
	clusterIP  = "10.253.0.10"
	clusterIP6 = "fd53::10"
	externalIP = "192.0.2.200"
	nodeIP     = "198.51.100.1"
	outsideIP  = "198.51.100.2"
)

// world is a node with pods, and somebody outside.
type world struct {
	t       testing.TB
	net     *network.Manager
	proxy   *Proxy
	kernel  *kernel
	svcs    *fakeCache[*corev1.Service]
	slices  *fakeCache[*discoveryv1.EndpointSlice]
	pods    []network.Attachment
	outside string // namespace
	// patience to connect; links that just came up may lose the first packet.
	patience time.Duration
}

func newWorld(t testing.TB, pods int) *world {
	netnstest.Need(t)
	// The kernel sends a peer few ICMP errors per second; tests provoke more.
	os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0)
	w := &world{t: t, patience: 5 * time.Second, svcs: newFake[*corev1.Service](), slices: newFake[*discoveryv1.EndpointSlice]()}
	cidrs := []netip.Prefix{netip.MustParsePrefix("10.252.0.0/24"), netip.MustParsePrefix("fd52::/64")}
	var err error
	w.net, err = network.Open(t.Context(), network.Config{Name: "proxytest", Dir: filepath.Join(t.TempDir(), "net"), RunDir: filepath.Join(t.TempDir(), "run"), Pool: -1,
		PodCIDRs: cidrs, Virtual: []netip.Prefix{netip.MustParsePrefix("10.253.0.0/16"), netip.MustParsePrefix("fd53::/112")}, Masquerade: true})
	w.check(err)
	t.Cleanup(func() { w.check(w.net.Purge(context.Background())) })
	for i := range pods {
		a, err := w.net.Attach(t.Context(), fmt.Sprint("pod", i), network.AttachOptions{})
		w.check(err)
		w.pods = append(w.pods, a)
		w.serve(i)
	}
	w.makeOutside()
	w.proxy = New(Config{Name: "test", NodeName: "here", PodCIDRs: cidrs, Services: w.svcs, Slices: w.slices})
	w.kernel, err = openKernel("test", cidrs)
	w.check(err)
	t.Cleanup(func() { w.kernel.conn.Close(); w.check(Purge("test")) })
	w.check(w.kernel.load(w.proxy.everything()))
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// makeOutside makes a machine that has the node as its neighbour.
func (w *world) makeOutside() {
	w.outside = filepath.Join(w.t.TempDir(), "outside")
	w.check(netns.Create(w.outside, func(host *os.File) error {
		v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "outside", PeerNamespace: netlink.NsFd(int(host.Fd()))}
		if err := netlink.LinkAdd(v); err != nil {
			return err
		}
		a, _ := netlink.ParseAddr(outsideIP + "/24")
		if err := netlink.AddrAdd(v, a); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(v); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: v.Index, Gw: net.ParseIP(nodeIP)})
	}))
	w.t.Cleanup(func() { netns.Delete(w.outside) })
	l, err := netlink.LinkByName("outside")
	w.check(err)
	a, _ := netlink.ParseAddr(nodeIP + "/24")
	w.check(netlink.AddrAdd(l, a))
	w.check(netlink.LinkSetUp(l))
	w.t.Cleanup(func() { netlink.LinkDel(l) })
}

// serve answers TCP and UDP on port 8080 of pod i with its number and the visitor's address.
func (w *world) serve(i int) {
	var l net.Listener
	var u net.PacketConn
	w.check(netns.Do(w.pods[i].NetNS, func() (err error) {
		if l, err = net.Listen("tcp", ":8080"); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", ":8080")
		return err
	}))
	w.t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				buf := make([]byte, 64)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					fmt.Fprintf(c, "%d %s", i, host)
				}
			}()
		}
	}()
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			u.WriteTo(fmt.Appendf(nil, "%d", i), from)
		}
	}()
}

func (w *world) dial(from, network, addr string) (net.Conn, error) {
	var c net.Conn
	dial := func() (err error) { c, err = net.DialTimeout(network, addr, w.patience); return err }
	if from == "" {
		return c, dial()
	}
	err := netns.Do(from, dial)
	return c, err
}

func talk(c net.Conn) (string, error) {
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(c, "?"); err != nil {
		return "", err
	}
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// ask gives the pod that answered and whom it saw.
func (w *world) ask(from, network, addr string) (pod, visitor string, err error) {
	c, err := w.dial(from, network, addr)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	s, err := talk(c)
	pod, visitor, _ = strings.Cut(s, " ")
	return pod, visitor, err
}

func (w *world) service(change func(*corev1.Service)) {
	w.t.Helper()
	s := testService(change)
	w.svcs.set(s.Namespace+"/"+s.Name, s)
	w.check(w.proxy.sync(w.kernel))
}

// endpoints makes pods the endpoints of service web.
func (w *world) endpoints(pods ...int) {
	w.t.Helper()
	var v4, v6 []discoveryv1.Endpoint
	for _, i := range pods {
		v4 = append(v4, testEndpoint(w.pods[i].IPs[0].String(), "here"))
		v6 = append(v6, testEndpoint(w.pods[i].IPs[1].String(), "here"))
	}
	w.slices.set("default/web-4", testSlice("web-4", discoveryv1.AddressTypeIPv4, v4...))
	w.slices.set("default/web-6", testSlice("web-6", discoveryv1.AddressTypeIPv6, v6...))
	w.check(w.proxy.sync(w.kernel))
}

func testService(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: clusterIP, ClusterIPs: []string{clusterIP, clusterIP6},
		Ports: []corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 80}, {Name: "dns", Protocol: "UDP", Port: 80}}}
	if change != nil {
		change(s)
	}
	return s
}

func testSlice(name string, t discoveryv1.AddressType, eps ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}}
	s.AddressType, s.Endpoints = t, eps
	for _, p := range []struct {
		name  string
		proto corev1.Protocol
	}{{"http", "TCP"}, {"dns", "UDP"}} {
		port := int32(8080)
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &p.name, Protocol: &p.proto, Port: &port})
	}
	return s
}

func testEndpoint(ip, node string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{ip}, NodeName: &node}
}

func TestClusterIPSpreadsAndFollowsEndpoints(t *testing.T) {
	w := newWorld(t, 3)
	w.service(nil)
	w.endpoints(0, 1)
	for _, from := range []string{w.pods[2].NetNS, ""} {
		for _, addr := range []string{clusterIP + ":80", "[" + clusterIP6 + "]:80"} {
			seen := map[string]int{}
			for range 40 {
				pod, visitor, err := w.ask(from, "tcp", addr)
				if err != nil {
					t.Fatalf("%s from %q: %v", addr, from, err)
				}
				if from != "" && visitor != w.pods[2].IPs[0].String() && visitor != w.pods[2].IPs[1].String() {
					t.Fatalf("pod's address became %s", visitor)
				}
				seen[pod]++
			}
			if seen["0"] < 5 || seen["1"] < 5 {
				t.Errorf("%s from %q: spread %v", addr, from, seen)
			}
		}
	}
	if pod, _, err := w.ask(w.pods[2].NetNS, "udp", clusterIP+":80"); err != nil || pod == "" {
		t.Errorf("udp: %q, %v", pod, err)
	}

	open, err := w.dial(w.pods[2].NetNS, "tcp", clusterIP+":80")
	w.check(err)
	defer open.Close()
	before, err := talk(open)
	w.check(err)
	w.endpoints(2)
	if after, err := talk(open); err != nil || after != before {
		t.Errorf("established connection after its endpoint left: %q, %v", after, err)
	}
	if pod, visitor, err := w.ask(w.pods[2].NetNS, "tcp", clusterIP+":80"); err != nil || pod != "2" || visitor != w.net.Gateway()[0].String() {
		t.Errorf("hairpin: pod %q visitor %q, %v", pod, visitor, err)
	}
}

func TestNoEndpointsAndUnknownPortAreRefused(t *testing.T) {
	w := newWorld(t, 1)
	w.service(func(s *corev1.Service) {
		s.Spec.Type, s.Spec.Ports[0].NodePort, s.Spec.ExternalIPs = corev1.ServiceTypeNodePort, 30080, []string{externalIP}
	})
	for _, c := range [][2]string{{w.pods[0].NetNS, clusterIP + ":80"}, {"", clusterIP + ":80"}, {w.pods[0].NetNS, clusterIP + ":81"}, {"", "[" + clusterIP6 + "]:81"},
		{w.outside, nodeIP + ":30080"}, {w.outside, externalIP + ":80"}, {"", nodeIP + ":30080"}} {
		if _, _, err := w.ask(c[0], "tcp", c[1]); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s from %q: %v", c[1], c[0], err)
		}
	}
	if _, _, err := w.ask(w.pods[0].NetNS, "udp", clusterIP+":80"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("udp: %v", err)
	}
}

func TestNodePortAndExternalIP(t *testing.T) {
	w := newWorld(t, 2)
	nodePort := func(s *corev1.Service) {
		s.Spec.Type, s.Spec.Ports[0].NodePort, s.Spec.ExternalIPs = corev1.ServiceTypeNodePort, 30080, []string{externalIP}
	}
	w.service(nodePort)
	w.endpoints(0)
	for _, c := range [][2]string{{w.outside, nodeIP + ":30080"}, {w.outside, externalIP + ":80"}, {"", nodeIP + ":30080"}, {"", "127.0.0.1:30080"},
		{w.pods[1].NetNS, nodeIP + ":30080"}, {w.pods[0].NetNS, nodeIP + ":30080"}} {
		if pod, visitor, err := w.ask(c[0], "tcp", c[1]); err != nil || pod != "0" || visitor != w.net.Gateway()[0].String() {
			t.Errorf("%s from %q: pod %q visitor %q, %v", c[1], c[0], pod, visitor, err)
		}
	}

	w.service(func(s *corev1.Service) {
		nodePort(s)
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	})
	if pod, visitor, err := w.ask(w.outside, "tcp", nodeIP+":30080"); err != nil || pod != "0" || visitor != outsideIP {
		t.Errorf("policy Local: pod %q visitor %q, %v", pod, visitor, err)
	}
	w.slices.set("default/web-4", testSlice("web-4", discoveryv1.AddressTypeIPv4, testEndpoint(w.pods[0].IPs[0].String(), "elsewhere")))
	w.check(w.proxy.sync(w.kernel))
	w.patience = 300 * time.Millisecond
	if _, _, err := w.ask(w.outside, "tcp", nodeIP+":30080"); err == nil {
		t.Error("policy Local without local endpoint answered an outsider")
	}
	w.patience = 5 * time.Second
	if pod, _, err := w.ask(w.pods[1].NetNS, "tcp", nodeIP+":30080"); err != nil || pod != "0" {
		t.Errorf("policy Local from inside: pod %q, %v", pod, err)
	}
}

func TestAffinityHoldsUntilEndpointLeaves(t *testing.T) {
	w := newWorld(t, 4)
	w.service(func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	w.endpoints(0, 1, 2)
	for _, addr := range []string{clusterIP + ":80", "[" + clusterIP6 + "]:80"} {
		w.endpoints(0, 1, 2)
		first := ""
		for range 12 {
			pod, _, err := w.ask(w.pods[3].NetNS, "tcp", addr)
			w.check(err)
			if first == "" {
				first = pod
			}
			if pod != first {
				t.Fatalf("%s: pod %s, then %s", addr, first, pod)
			}
		}
		gone := int(first[0] - '0')
		w.endpoints((gone+1)%3, (gone+2)%3)
		second, _, err := w.ask(w.pods[3].NetNS, "tcp", addr)
		w.check(err)
		if second == first {
			t.Fatalf("%s: went to the endpoint that left", addr)
		}
		w.endpoints(0, 1, 2)
		for range 6 {
			if pod, _, _ := w.ask(w.pods[3].NetNS, "tcp", addr); pod != second {
				t.Fatalf("%s: pod %s, then %s", addr, second, pod)
			}
		}
	}
}

func TestUDPLeavesAnEndpointThatLeft(t *testing.T) {
	w := newWorld(t, 3)
	w.service(nil)
	w.endpoints(0)
	for _, addr := range []string{clusterIP + ":80", "[" + clusterIP6 + "]:80"} {
		w.endpoints(0)
		c, err := w.dial(w.pods[2].NetNS, "udp", addr)
		w.check(err)
		defer c.Close()
		if pod, err := talk(c); err != nil || pod != "0" {
			t.Fatalf("%s before: %q, %v", addr, pod, err)
		}
		w.endpoints(1)
		w.check(w.proxy.left.forget())
		if pod, err := talk(c); err != nil || pod != "1" {
			t.Errorf("%s after: %q, %v", addr, pod, err)
		}
	}
}

// A name server on the bridge behind a Service with a hand-made slice is how the cluster DNS address works.
func TestEndpointOnTheNodeItself(t *testing.T) {
	w := newWorld(t, 1)
	gateway := w.net.Gateway()[0].String()
	u, err := net.ListenPacket("udp", net.JoinHostPort(gateway, "8080"))
	w.check(err)
	defer u.Close()
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			u.WriteTo([]byte("node "+from.(*net.UDPAddr).IP.String()), from)
		}
	}()
	w.service(nil)
	w.slices.set("default/web-4", testSlice("web-4", discoveryv1.AddressTypeIPv4, discoveryv1.Endpoint{Addresses: []string{gateway}}))
	w.check(w.proxy.sync(w.kernel))
	for _, from := range []string{w.pods[0].NetNS, ""} {
		if who, _, err := w.ask(from, "udp", clusterIP+":80"); err != nil || who != "node" {
			t.Errorf("from %q: %q, %v", from, who, err)
		}
	}
}

func TestRestartAndMeddlingKeepConnections(t *testing.T) {
	w := newWorld(t, 3)
	w.service(nil)
	w.endpoints(0, 1)
	open, err := w.dial(w.pods[2].NetNS, "tcp", clusterIP+":80")
	w.check(err)
	defer open.Close()
	before, err := talk(open)
	w.check(err)

	again := New(w.proxy.cfg)
	w.check(w.kernel.load(again.everything()))
	w.proxy = again
	if after, err := talk(open); err != nil || after != before {
		t.Errorf("after restart: %q, then %q, %v", before, after, err)
	}

	w.check(Purge("test")) // somebody flushes the ruleset
	w.endpoints(1)
	if pod, _, err := w.ask(w.pods[2].NetNS, "tcp", clusterIP+":80"); err != nil || pod != "1" {
		t.Errorf("after the table was deleted: pod %q, %v", pod, err)
	}
	if after, err := talk(open); err != nil || after != before {
		t.Errorf("after the table was deleted: %q, then %q, %v", before, after, err)
	}
}

func TestLoadBalancerSourceRanges(t *testing.T) {
	w := newWorld(t, 1)
	w.endpoints(0)
	balancer := func(ranges ...string) {
		w.service(func(s *corev1.Service) {
			s.Spec.Type, s.Spec.LoadBalancerSourceRanges = corev1.ServiceTypeLoadBalancer, ranges
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: externalIP}}
		})
	}
	for _, c := range []struct {
		ranges []string
		ok     bool
	}{{nil, true}, {[]string{"203.0.113.0/24", "198.51.100.0/30"}, true}, {[]string{"203.0.113.0/24"}, false}, {[]string{"0.0.0.0/0"}, true}} {
		balancer(c.ranges...)
		w.patience = 300 * time.Millisecond
		if c.ok {
			w.patience = 5 * time.Second
		}
		if _, _, err := w.ask(w.outside, "tcp", externalIP+":80"); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.ranges, err)
		}
	}
}
