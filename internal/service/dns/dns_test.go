package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type world struct {
	*Server
	svcs   *fakeCache[*corev1.Service]
	slices *fakeCache[*discoveryv1.EndpointSlice]
}

func newWorld(upstreams ...string) *world {
	w := &world{svcs: newFake[*corev1.Service](), slices: newFake[*discoveryv1.EndpointSlice]()}
	if upstreams == nil {
		upstreams = []string{"127.0.0.1:1"}
	}
	w.Server = New(Config{Zone: "cluster.local", Addresses: []netip.Addr{netip.MustParseAddr("10.43.0.10")}, Services: w.svcs, Slices: w.slices, Upstreams: upstreams})
	return w
}

func (w *world) service(name string, spec corev1.ServiceSpec) {
	w.svcs.set("default/"+name, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: spec})
	w.sync()
}

func (w *world) slice(service string, eps ...discoveryv1.Endpoint) {
	name, proto, port := "http", corev1.ProtocolTCP, int32(8080)
	w.slices.set("default/"+service, &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Ports:      []discoveryv1.EndpointPort{{Name: &name, Protocol: &proto, Port: &port}}, Endpoints: eps})
	w.sync()
}

func endpoint(ip, hostname string, ready bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
	if hostname != "" {
		e.Hostname = &hostname
	}
	return e
}

// look is the reply on one line a record, sorted.
func (w *world) look(name, kind string) string {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.StringToType[kind])
	r := w.answer(context.Background(), q, true)
	var out []string
	for _, rr := range r.Answer {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	slices.Sort(out)
	s := dns.RcodeToString[r.Rcode]
	if len(r.Ns) > 0 {
		s += " soa"
	}
	return strings.Join(append([]string{s}, out...), "\n")
}

func example() *world {
	w := newWorld()
	w.service("web", corev1.ServiceSpec{ClusterIP: "10.43.0.5", ClusterIPs: []string{"10.43.0.5", "fd43::5"},
		Ports: []corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 80}, {Protocol: "UDP", Port: 53}}})
	w.service("db", corev1.ServiceSpec{ClusterIP: "None"})
	w.slice("db", endpoint("10.42.0.7", "db-0", true), endpoint("10.42.0.8", "", true), endpoint("10.42.0.9", "db-2", false))
	w.service("empty", corev1.ServiceSpec{ClusterIP: "None"})
	w.service("alias", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "web.default.svc.cluster.local"})
	w.service("out", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"})
	return w
}

func TestSpecification(t *testing.T) {
	w := example()
	for _, c := range []struct{ name, kind, want string }{
		{"dns-version.cluster.local.", "TXT", "NOERROR\ndns-version.cluster.local. 5 IN TXT \"1.1.0\""},
		{"web.default.svc.cluster.local.", "A", "NOERROR\nweb.default.svc.cluster.local. 5 IN A 10.43.0.5"},
		{"WEB.default.svc.Cluster.local.", "A", "NOERROR\nWEB.default.svc.Cluster.local. 5 IN A 10.43.0.5"},
		{"web.default.svc.cluster.local.", "AAAA", "NOERROR\nweb.default.svc.cluster.local. 5 IN AAAA fd43::5"},
		{"web.default.svc.cluster.local.", "MX", "NOERROR soa"},
		{"_http._tcp.web.default.svc.cluster.local.", "SRV", "NOERROR\n_http._tcp.web.default.svc.cluster.local. 5 IN SRV 0 100 80 web.default.svc.cluster.local."},
		{"_http._udp.web.default.svc.cluster.local.", "SRV", "NXDOMAIN soa"},
		{"_tcp.web.default.svc.cluster.local.", "SRV", "NOERROR soa"},
		{"5.0.43.10.in-addr.arpa.", "PTR", "NOERROR\n5.0.43.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local."},
		{"5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.d.f.ip6.arpa.", "PTR", "NOERROR\n5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.d.f.ip6.arpa. 5 IN PTR web.default.svc.cluster.local."},
		{"db.default.svc.cluster.local.", "A", "NOERROR\ndb.default.svc.cluster.local. 5 IN A 10.42.0.7\ndb.default.svc.cluster.local. 5 IN A 10.42.0.8"},
		{"db-0.db.default.svc.cluster.local.", "A", "NOERROR\ndb-0.db.default.svc.cluster.local. 5 IN A 10.42.0.7"},
		{"db-2.db.default.svc.cluster.local.", "A", "NXDOMAIN soa"},
		{"10-42-0-8.db.default.svc.cluster.local.", "A", "NOERROR\n10-42-0-8.db.default.svc.cluster.local. 5 IN A 10.42.0.8"},
		{"_http._tcp.db.default.svc.cluster.local.", "SRV", "NOERROR\n_http._tcp.db.default.svc.cluster.local. 5 IN SRV 0 100 8080 10-42-0-8.db.default.svc.cluster.local.\n_http._tcp.db.default.svc.cluster.local. 5 IN SRV 0 100 8080 db-0.db.default.svc.cluster.local."},
		{"7.0.42.10.in-addr.arpa.", "PTR", "NOERROR\n7.0.42.10.in-addr.arpa. 5 IN PTR db-0.db.default.svc.cluster.local."},
		{"empty.default.svc.cluster.local.", "A", "NOERROR soa"},
		{"alias.default.svc.cluster.local.", "A", "NOERROR\nalias.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local.\nweb.default.svc.cluster.local. 5 IN A 10.43.0.5"},
		{"alias.default.svc.cluster.local.", "CNAME", "NOERROR\nalias.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local."},
		{"out.default.svc.cluster.local.", "A", "SERVFAIL soa"},
		{"1-2-3-4.default.pod.cluster.local.", "A", "NOERROR\n1-2-3-4.default.pod.cluster.local. 5 IN A 1.2.3.4"},
		{"fd00--1.default.pod.cluster.local.", "AAAA", "NOERROR\nfd00--1.default.pod.cluster.local. 5 IN AAAA fd00::1"},
		{"1-2-3-4.default.pod.cluster.local.", "AAAA", "NOERROR soa"},
		{"nonsense.default.pod.cluster.local.", "A", "NXDOMAIN soa"},
		{"default.svc.cluster.local.", "A", "NOERROR soa"},
		{"svc.cluster.local.", "A", "NOERROR soa"},
		{"none.svc.cluster.local.", "A", "NXDOMAIN soa"},
		{"web.default.svc.cluster.local.cluster.local.", "A", "NXDOMAIN soa"},
		{"cluster.local.", "NS", "NOERROR\ncluster.local. 5 IN NS ns.dns.cluster.local."},
		{"ns.dns.cluster.local.", "A", "NOERROR\nns.dns.cluster.local. 5 IN A 10.43.0.10"},
		{"notcluster.local.", "A", "SERVFAIL"},
	} {
		if diff := cmp.Diff(c.want, w.look(c.name, c.kind)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.name, c.kind, diff)
		}
	}
}

func TestNamesComeAndGo(t *testing.T) {
	w := example()
	before := len(w.zone.nodes)
	w.service("tmp", corev1.ServiceSpec{ClusterIP: "None"})
	w.slice("tmp", endpoint("10.42.0.7", "a", true))
	w.slice("tmp", endpoint("10.42.0.6", "b", true), endpoint("10.42.0.5", "b", true))
	if got := w.look("a.tmp.default.svc.cluster.local.", "A"); got != "NXDOMAIN soa" {
		t.Errorf("old endpoint: %s", got)
	}
	if got := w.look("b.tmp.default.svc.cluster.local.", "A"); strings.Count(got, "\n") != 2 {
		t.Errorf("two addresses of one name: %s", got)
	}
	w.svcs.remove("default/tmp")
	w.sync()
	if got := w.look("tmp.default.svc.cluster.local.", "A"); got != "NXDOMAIN soa" {
		t.Errorf("after delete: %s", got)
	}
	if len(w.zone.nodes) != before {
		t.Errorf("%d names before, %d after", before, len(w.zone.nodes))
	}
}

// upstreamServer answers every A question with 192.0.2.7 and counts.
func upstreamServer(t testing.TB, answer func(q *dns.Msg) *dns.Msg) (string, *atomic.Int32) {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int32)
	s := &dns.Server{PacketConn: p, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		if r := answer(q); r != nil {
			w.WriteMsg(r)
		}
	})}
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go s.ActivateAndServe()
	<-started
	t.Cleanup(func() { s.Shutdown() })
	return p.LocalAddr().String(), asked
}

func addressAnswer(q *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	if strings.HasPrefix(q.Question[0].Name, "no.") {
		r.Rcode = dns.RcodeNameError
		r.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60}, Minttl: 60, Ns: ".", Mbox: "."}}
		return r
	}
	r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 7)}}
	return r
}

func TestForwardingCachesAndFailsOver(t *testing.T) {
	silent, _ := upstreamServer(t, func(*dns.Msg) *dns.Msg { return nil })
	good, asked := upstreamServer(t, addressAnswer)
	w := newWorld(silent, good)
	for range 3 {
		if got := w.look("example.com.", "A"); !strings.Contains(got, "192.0.2.7") {
			t.Fatalf("forwarded: %s", got)
		}
		if got := w.look("no.example.com.", "A"); !strings.HasPrefix(got, "NXDOMAIN") {
			t.Fatalf("forwarded: %s", got)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("upstream was asked %d times for two names", asked.Load())
	}
	w.service("out", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"})
	if got := w.look("out.default.svc.cluster.local.", "A"); !strings.Contains(got, "CNAME") || !strings.Contains(got, "192.0.2.7") {
		t.Errorf("external name: %s", got)
	}
}

func TestOverTheWire(t *testing.T) {
	w := example()
	var eps []discoveryv1.Endpoint
	for i := range 200 {
		eps = append(eps, endpoint(fmt.Sprintf("10.42.1.%d", i), "", true))
	}
	w.service("big", corev1.ServiceSpec{ClusterIP: "None"})
	w.slice("big", eps...)
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.PacketConns, w.cfg.Listeners = []net.PacketConn{u}, []net.Listener{l}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	<-w.Ready()
	for _, c := range []struct {
		net, addr string
		edns      uint16
		truncated bool
		most      int
	}{{"udp", u.LocalAddr().String(), 0, true, 512}, {"udp", u.LocalAddr().String(), 4096, true, 1232}, {"tcp", l.Addr().String(), 0, false, 65535}} {
		q := new(dns.Msg)
		q.SetQuestion("big.default.svc.cluster.local.", dns.TypeA)
		if c.edns > 0 {
			q.SetEdns0(c.edns, false)
		}
		r, _, err := (&dns.Client{Net: c.net}).Exchange(q, c.addr)
		if err != nil {
			t.Fatal(err)
		}
		r.Compress = true
		if r.Truncated != c.truncated || r.Len() > c.most || (r.IsEdns0() != nil) != (c.edns > 0) || !c.truncated && len(r.Answer) != 200 {
			t.Errorf("%s, edns %d: truncated %v, %d bytes, %d answers", c.net, c.edns, r.Truncated, r.Len(), len(r.Answer))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	os.WriteFile(path, []byte("# x\nnameserver 192.0.2.1\nnameserver 10.43.0.10\nnameserver fe80::1%eth0\nnameserver bad\nsearch x\nnameserver\n"), 0o644)
	got, err := resolvers(path, []netip.AddrPort{netip.MustParseAddrPort("10.43.0.10:53")})
	if diff := cmp.Diff([]string{"192.0.2.1:53", "[fe80::1%eth0]:53"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestResolvConfIsFollowed(t *testing.T) {
	good, _ := upstreamServer(t, addressAnswer)
	_ = good
	dir := t.TempDir()
	path := filepath.Join(dir, "resolv.conf")
	os.WriteFile(path, []byte("nameserver 192.0.2.1\n"), 0o644)
	w := newWorld()
	w.cfg.Upstreams, w.cfg.ResolvConf = nil, path
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		os.WriteFile(path+".new", []byte("nameserver "+ip+"\n"), 0o644)
		os.Rename(path+".new", path)
		deadline := time.Now().Add(5 * time.Second)
		for {
			if list := *w.forward.upstreams.Load(); len(list) == 1 && list[0].addr == ip+":53" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("resolver %s never came", ip)
			}
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzAnswer(f *testing.F) {
	w := example()
	w.forward.use(nil)
	q := new(dns.Msg)
	q.SetQuestion("web.default.svc.cluster.local.", dns.TypeA)
	q.SetEdns0(1232, true)
	seed, _ := q.Pack()
	f.Add(seed)
	q.SetQuestion("1-2-3-4.x.pod.cluster.local.", dns.TypeANY)
	seed, _ = q.Pack()
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(dns.Msg)
		if m.Unpack(data) != nil {
			return
		}
		r := w.answer(t.Context(), m, false)
		finish(r, m, false)
		out, err := r.Pack()
		if err == nil && len(out) > ednsSize {
			t.Errorf("answer of %d bytes", len(out))
		}
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 192.0.2.1\noptions ndots:5\n")
	f.Fuzz(func(t *testing.T, s string) {
		if got := parseResolvers(strings.NewReader(s)); len(got) > maxResolvers {
			t.Error(got)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	w := example()
	for i := range 10000 {
		ip := fmt.Sprintf("10.43.%d.%d", i>>8, i&255)
		w.svcs.items[fmt.Sprint("default/s", i)] = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("s", i)}, Spec: corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}}}
	}
	q := new(dns.Msg)
	q.SetQuestion("web.default.svc.cluster.local.", dns.TypeA)
	b.ReportAllocs()
	for b.Loop() {
		r := w.answer(b.Context(), q, false)
		finish(r, q, false)
		if _, err := r.Pack(); err != nil {
			b.Fatal(err)
		}
	}
}
