package proxy

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/linux/netns/netnstest"
)

var update = flag.Bool("update", false, "write golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func text(c claim) string {
	for _, s := range table("x", nil).Sets {
		if s.Name == c.set {
			return s.Text(c.element())
		}
	}
	return setNamed(c.set).Text(c.element())
}

func ready(e discoveryv1.Endpoint, ready, serving, terminating bool) discoveryv1.Endpoint {
	e.Conditions = discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating}
	return e
}

func TestCompile(t *testing.T) {
	local, cluster := corev1.ServiceExternalTrafficPolicyLocal, corev1.ServiceInternalTrafficPolicyLocal
	two := []*discoveryv1.EndpointSlice{
		testSlice("a", discoveryv1.AddressTypeIPv4, testEndpoint("10.0.0.2", "here"), testEndpoint("10.0.1.2", "there")),
		testSlice("b", discoveryv1.AddressTypeIPv6, testEndpoint("fd00::2", "here")),
	}
	elsewhere := []*discoveryv1.EndpointSlice{testSlice("a", discoveryv1.AddressTypeIPv4, testEndpoint("10.0.1.2", "there"))}
	one := func(s *corev1.Service) {
		s.Spec.ClusterIPs, s.Spec.Ports = s.Spec.ClusterIPs[:1], s.Spec.Ports[:1]
	}
	nodePort := func(s *corev1.Service) {
		one(s)
		s.Spec.Type, s.Spec.Ports[0].NodePort, s.Spec.ExternalIPs = corev1.ServiceTypeNodePort, 30080, []string{"192.0.2.1"}
	}
	for _, c := range []struct {
		name   string
		change func(*corev1.Service)
		slices []*discoveryv1.EndpointSlice
	}{
		{"dual-stack", nil, two},
		{"no-endpoints", nodePort, nil},
		{"headless", func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }, two},
		{"external-name", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }, nil},
		{"node-port", nodePort, two},
		{"external-local", func(s *corev1.Service) { nodePort(s); s.Spec.ExternalTrafficPolicy = local }, two},
		{"external-local-elsewhere", func(s *corev1.Service) { nodePort(s); s.Spec.ExternalTrafficPolicy = local }, elsewhere},
		{"internal-local", func(s *corev1.Service) { one(s); s.Spec.InternalTrafficPolicy = &cluster }, two},
		{"internal-local-elsewhere", func(s *corev1.Service) { one(s); s.Spec.InternalTrafficPolicy = &cluster }, elsewhere},
		{"affinity", func(s *corev1.Service) { one(s); s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }, two},
		{"load-balancer", func(s *corev1.Service) {
			one(s)
			proxy := corev1.LoadBalancerIPModeProxy
			s.Spec.Type = corev1.ServiceTypeLoadBalancer
			s.Spec.LoadBalancerSourceRanges = []string{"198.51.0.0/16", "198.51.100.0/24", " 203.0.113.7/32 ", "fd00::/8"}
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}, {IP: "192.0.2.10", IPMode: &proxy}, {Hostname: "lb.example"}}
		}, two},
		{"terminating", one, []*discoveryv1.EndpointSlice{testSlice("a", discoveryv1.AddressTypeIPv4,
			ready(testEndpoint("10.0.0.2", "here"), false, true, true), ready(testEndpoint("10.0.0.3", "here"), false, false, true), ready(testEndpoint("10.0.0.4", "here"), false, true, false))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ids := map[string]uint32{}
			number := func(n string) uint32 {
				if ids[n] == 0 {
					ids[n] = uint32(len(ids) + 1)
				}
				return ids[n]
			}
			p := newState().replace(map[types.NamespacedName][]claim{{Name: "x"}: compiler{"here", number}.compile(testService(c.change), c.slices)})
			golden(t, c.name, planText(p))
		})
	}
}

func planText(p plan) string {
	var b strings.Builder
	section := func(sign string, m map[string][]claim) {
		var lines []string
		for _, cs := range m {
			for _, c := range cs {
				lines = append(lines, sign+text(c))
			}
		}
		slices.Sort(lines)
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
	}
	rules := func(sign string, cs []claim) {
		for _, c := range cs {
			b.WriteString(sign + strings.TrimPrefix(chain(c, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}).String(), "\t"))
		}
	}
	for _, c := range p.addSets {
		b.WriteString("+ " + strings.TrimPrefix(setNamed(c.key).String(), "\t"))
	}
	rules("+ ", p.addChains)
	rules("! ", p.changeChains)
	section("- ", p.remove)
	section("+ ", p.add)
	for _, c := range p.removeChains {
		b.WriteString("- chain " + c.key + "\n")
	}
	for _, c := range p.removeSets {
		b.WriteString("- set " + c.key + "\n")
	}
	return b.String()
}

func TestTable(t *testing.T) {
	golden(t, "table", table("demo", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00::/48")}).String())
}

func TestChangesAreSmallAndClaimsAreShared(t *testing.T) {
	ids := map[string]uint32{}
	number := func(n string) uint32 {
		if ids[n] == 0 {
			ids[n] = uint32(len(ids) + 1)
		}
		return ids[n]
	}
	make := func(name string, ips ...string) (types.NamespacedName, []claim) {
		var eps []discoveryv1.Endpoint
		for _, ip := range ips {
			eps = append(eps, testEndpoint(ip, "here"))
		}
		svc := testService(func(s *corev1.Service) {
			s.Name, s.Spec.ClusterIPs, s.Spec.Ports = name, []string{"10.1.0." + name}, s.Spec.Ports[:1]
			s.Spec.ExternalIPs = []string{"192.0.2.1"}
		})
		return types.NamespacedName{Name: name}, compiler{"here", func(string) uint32 { return number(name) }}.compile(svc, []*discoveryv1.EndpointSlice{testSlice("s", discoveryv1.AddressTypeIPv4, eps...)})
	}
	s := newState()
	var out strings.Builder
	step := func(title string, names ...string) {
		changed := map[types.NamespacedName][]claim{}
		for _, n := range names {
			name, ips, _ := strings.Cut(n, " ")
			if ips == "" {
				changed[types.NamespacedName{Name: name}] = nil
				continue
			}
			k, v := make(name, strings.Fields(ips)...)
			changed[k] = v
		}
		fmt.Fprintf(&out, "# %s\n%s\n", title, planText(s.replace(changed)))
	}
	step("two services want one external IP: the first name gets it", "2 10.0.0.2", "1 10.0.0.1")
	step("one more endpoint", "1 10.0.0.1 10.0.0.3")
	step("nothing new", "1 10.0.0.1 10.0.0.3", "2 10.0.0.2")
	step("the winner leaves", "1")
	step("the last leaves", "2")
	golden(t, "changes", out.String())
}

// many services of four endpoints each.
func fill(svcs *fakeCache[*corev1.Service], slices *fakeCache[*discoveryv1.EndpointSlice], n int) {
	for i := range n {
		name := fmt.Sprint("s", i)
		ip := fmt.Sprintf("10.%d.%d.%d", 100+i>>16, i>>8&255, i&255)
		s := testService(func(s *corev1.Service) {
			s.Name, s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.Ports = name, ip, []string{ip}, s.Spec.Ports[:1]
		})
		svcs.set("default/"+name, s)
		slices.set("default/"+name, manySlice(i, 4))
	}
}

func manySlice(i, endpoints int) *discoveryv1.EndpointSlice {
	var eps []discoveryv1.Endpoint
	for e := range endpoints {
		eps = append(eps, testEndpoint(fmt.Sprintf("10.%d.%d.%d", 200+e, i>>8&255, i&255), "there"))
	}
	s := testSlice(fmt.Sprint("s", i), discoveryv1.AddressTypeIPv4, eps...)
	s.Labels = map[string]string{discoveryv1.LabelServiceName: s.Name}
	return s
}

func benchWorld(b *testing.B, n int) (*Proxy, *kernel, *fakeCache[*discoveryv1.EndpointSlice]) {
	netnstest.Need(b)
	svcs, slices := newFake[*corev1.Service](), newFake[*discoveryv1.EndpointSlice]()
	p := New(Config{Name: "bench", NodeName: "here", Services: svcs, Slices: slices})
	fill(svcs, slices, n)
	k, err := openKernel("bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { k.conn.Close(); Purge("bench") })
	return p, k, slices
}

func BenchmarkLoad10kServices(b *testing.B) {
	p, k, _ := benchWorld(b, 10000)
	for b.Loop() {
		p.state = newState()
		if err := k.load(p.everything()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOneServiceChangedOf10k(b *testing.B) {
	p, k, slices := benchWorld(b, 10000)
	p.takeDirty()
	if err := k.load(p.everything()); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		slices.set("default/s77", manySlice(77, 3+i%2)) // a chain comes or goes, too
		if err := p.sync(k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOneEndpointChangedOf10kServices(b *testing.B) {
	p, k, slices := benchWorld(b, 10000)
	p.takeDirty()
	if err := k.load(p.everything()); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		s := manySlice(77, 4)
		s.Endpoints[0].Addresses[0] = fmt.Sprint("10.0.0.", i%200)
		slices.set("default/s77", s)
		if err := p.sync(k); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRunServesAndStops(t *testing.T) {
	netnstest.Need(t)
	svcs, slices := newFake[*corev1.Service](), newFake[*discoveryv1.EndpointSlice]()
	p := New(Config{Name: "run", NodeName: "here", Services: svcs, Slices: slices})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	svcs.set("default/web", testService(nil))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Purge("run"); err != nil {
		t.Error(err)
	}
}
