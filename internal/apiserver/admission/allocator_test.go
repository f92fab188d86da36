package admission

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
)

func service(name string, t corev1.ServiceType, ports ...corev1.ServicePort) *corev1.Service {
	if len(ports) == 0 {
		ports = []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}
	}
	return &corev1.Service{ObjectMeta: meta("web", name), Spec: corev1.ServiceSpec{Type: t, Ports: ports, Selector: map[string]string{"a": "b"}}}
}

func put(t *testing.T, r *readertest.Reader, z *allocator, s *corev1.Service) error {
	t.Helper()
	var old *corev1.Service
	w := write(r, "services", s, nil)
	if o, ok := find[*corev1.Service](r, "", "services", s.Namespace, s.Name); ok {
		old = o
		w = write(r, "services", s, old)
	}
	if err := z.admit(t.Context(), w); err != nil {
		return err
	}
	r.Put(s)
	return nil
}

func TestAllocate(t *testing.T) {
	r := newWorld()
	stored := service("old", corev1.ServiceTypeClusterIP)
	stored.Spec.ClusterIP, stored.Spec.ClusterIPs = "10.96.0.10", []string{"10.96.0.10"}
	r.Put(stored)
	z := newAllocator(r, Options{ServiceRanges: ranges})

	s := service("a", corev1.ServiceTypeNodePort, corev1.ServicePort{Name: "t", Port: 53, Protocol: corev1.ProtocolTCP}, corev1.ServicePort{Name: "u", Port: 53, Protocol: corev1.ProtocolUDP})
	wants(t, put(t, r, z, s), "")
	if s.Spec.ClusterIP == "" || s.Spec.Ports[0].NodePort < 30086 || s.Spec.Ports[0].NodePort != s.Spec.Ports[1].NodePort || s.Spec.IPFamilies[0] != "IPv4" || *s.Spec.IPFamilyPolicy != "SingleStack" {
		t.Errorf("got %+v", s.Spec)
	}

	taken := service("b", corev1.ServiceTypeClusterIP)
	taken.Spec.ClusterIP = "10.96.0.10"
	wants(t, put(t, r, z, taken), `Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated`)
	taken = service("b", corev1.ServiceTypeClusterIP)
	taken.Spec.ClusterIP = "10.97.0.1"
	wants(t, put(t, r, z, taken), "is not in the valid range. The range of valid IPs is 10.96.0.0/16")
	taken = service("b", corev1.ServiceTypeNodePort)
	taken.Spec.Ports[0].NodePort = s.Spec.Ports[0].NodePort
	wants(t, put(t, r, z, taken), "spec.ports[0].nodePort: Invalid value: "+fmt.Sprint(s.Spec.Ports[0].NodePort)+": provided port is already allocated")
	taken.Spec.Ports[0].NodePort = 80
	wants(t, put(t, r, z, taken), "The range of valid ports is 30000-32767")

	// An update that sends nothing keeps all; a change of type frees.
	again := service("a", corev1.ServiceTypeNodePort, corev1.ServicePort{Name: "t", Port: 53, Protocol: corev1.ProtocolTCP})
	wants(t, put(t, r, z, again), "")
	if again.Spec.ClusterIP != s.Spec.ClusterIP || again.Spec.Ports[0].NodePort != s.Spec.Ports[0].NodePort {
		t.Errorf("got %+v, had %+v", again.Spec, s.Spec)
	}
	none := again.DeepCopy()
	none.Spec.Type = corev1.ServiceTypeClusterIP
	wants(t, put(t, r, z, none), "")
	if none.Spec.Ports[0].NodePort != 0 || len(z.nodes.taken) != 0 {
		t.Errorf("node port is still there: %+v, %v", none.Spec.Ports, z.nodes.taken)
	}
	external := none.DeepCopy()
	external.Spec.Type = corev1.ServiceTypeExternalName
	wants(t, put(t, r, z, external), "")
	if external.Spec.ClusterIP != "" || external.Spec.IPFamilyPolicy != nil || len(z.ranges[0].pool.taken) != 1 {
		t.Errorf("got %+v, %v", external.Spec, z.ranges[0].pool.taken)
	}
	r.Delete(stored)
	if len(z.ranges[0].pool.taken) != 0 {
		t.Error("a deletion frees nothing")
	}
}

func TestAllocateDual(t *testing.T) {
	r := newWorld()
	z := newAllocator(r, Options{ServiceRanges: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/24"), netip.MustParsePrefix("fd00::/108")}})
	s := service("a", corev1.ServiceTypeClusterIP)
	prefer, single := corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicySingleStack
	s.Spec.IPFamilyPolicy = &prefer
	wants(t, put(t, r, z, s), "")
	if len(s.Spec.ClusterIPs) != 2 || !netip.MustParsePrefix("fd00::/108").Contains(netip.MustParseAddr(s.Spec.ClusterIPs[1])) {
		t.Errorf("got %+v", s.Spec)
	}
	down := s.DeepCopy()
	down.Spec.IPFamilyPolicy = &single
	wants(t, put(t, r, z, down), "")
	if len(down.Spec.ClusterIPs) != 1 || len(down.Spec.IPFamilies) != 1 || len(z.ranges[1].pool.taken) != 0 {
		t.Errorf("got %+v", down.Spec)
	}
	headless := service("h", corev1.ServiceTypeClusterIP)
	headless.Spec.ClusterIP, headless.Spec.Selector = "None", nil
	wants(t, put(t, r, z, headless), "")
	if len(headless.Spec.IPFamilies) != 2 || headless.Spec.ClusterIPs[0] != "None" || *headless.Spec.IPFamilyPolicy != corev1.IPFamilyPolicyRequireDualStack {
		t.Errorf("got %+v", headless.Spec)
	}
	require := corev1.IPFamilyPolicyRequireDualStack
	one := newAllocator(newWorld(), Options{ServiceRanges: ranges})
	s = service("a", corev1.ServiceTypeClusterIP)
	s.Spec.IPFamilyPolicy = &require
	wants(t, put(t, r, one, s), "this cluster is not configured for dual-stack services")
}

func TestAllocateConcurrently(t *testing.T) {
	r := newWorld()
	z := newAllocator(r, Options{ServiceRanges: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/24")}, NodePorts: PortRange{30000, 30099}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen, failed := map[string]bool{}, 0
	for i := range 120 {
		wg.Go(func() {
			s := service(fmt.Sprint(i), corev1.ServiceTypeNodePort)
			err := z.admit(t.Context(), write(r, "services", s, nil))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				return
			}
			for _, k := range []string{s.Spec.ClusterIP, fmt.Sprint(s.Spec.Ports[0].NodePort)} {
				if seen[k] {
					t.Errorf("%s was given twice", k)
				}
				seen[k] = true
			}
		})
	}
	wg.Wait()
	if failed != 20 || len(z.ranges[0].pool.taken) != 100 {
		t.Errorf("%d failed, %d addresses are taken", failed, len(z.ranges[0].pool.taken))
	}
}

func TestAllocateRollbackAndDryRun(t *testing.T) {
	r := newWorld()
	z := newAllocator(r, Options{ServiceRanges: ranges})
	w := write(r, "services", service("a", corev1.ServiceTypeNodePort), nil)
	w.DryRun = true
	wants(t, z.admit(t.Context(), w), "")
	w = write(r, "services", service("a", corev1.ServiceTypeNodePort), nil)
	wants(t, z.admit(t.Context(), w), "")
	for _, f := range w.Rollback {
		f()
	}
	if len(z.nodes.taken)+len(z.ranges[0].pool.taken) != 0 {
		t.Error("something is still taken")
	}
}
