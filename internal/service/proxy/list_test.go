package proxy

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/dhow-project/dhow/internal/network"
)

// runNft runs nft(8), which must have nothing to complain of.
func runNft(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("nft", args...)
	var out, complaint strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaint
	if err := cmd.Run(); err != nil || complaint.Len() > 0 {
		t.Fatalf("nft %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String()
}

// everyKind makes Services that need every kind of chain, for both families.
func (w *world) everyKind() {
	local := func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	sticky := func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }
	ranged := func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{outsideIP + "/24", "fd00::/8"} }
	for i, k := range []struct {
		name, node string
		change     []func(*corev1.Service)
	}{
		{name: "plain", node: "here"},
		{name: "sticky", node: "here", change: []func(*corev1.Service){sticky}},
		{name: "local", node: "here", change: []func(*corev1.Service){local}},
		{name: "sticky-local", node: "here", change: []func(*corev1.Service){sticky, local, ranged}},
		{name: "elsewhere", node: "there", change: []func(*corev1.Service){local}},
		{name: "ranged", node: "here", change: []func(*corev1.Service){ranged}},
		{name: "empty"},
	} {
		n := string(rune('1' + i))
		w.service(func(s *corev1.Service) {
			s.Name, s.Spec.Type = k.name, corev1.ServiceTypeLoadBalancer
			s.Spec.ClusterIP, s.Spec.ClusterIPs = clusterIP+n, []string{clusterIP + n, clusterIP6 + n}
			s.Spec.Ports[0].NodePort, s.Spec.Ports[1].NodePort = int32(30080+i), int32(30080+i)
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.10" + n}, {IP: "fd99::" + n}}
			for _, f := range k.change {
				f(s)
			}
		})
		for family, kind := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			var eps []discoveryv1.Endpoint
			for _, p := range w.pods {
				if k.node != "" {
					eps = append(eps, testEndpoint(p.IPs[family].String(), k.node))
				}
			}
			s := testSlice(k.name+string(kind), kind, eps...)
			s.Labels[discoveryv1.LabelServiceName] = k.name
			w.slices.set("default/"+s.Name, s)
		}
	}
	w.check(w.proxy.sync(w.kernel))
}

// Every admin types it, and their tools do: nft 1.0.6 ended with a failed assertion.
func TestRulesetIsListedSavedAndRestored(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("nft is not installed")
		}
		t.Skip("nft is not installed")
	}
	w := newWorld(t, 2)
	_, err := w.net.Attach(t.Context(), "published", network.AttachOptions{Ports: []network.PortMapping{
		{HostPort: 8081, ContainerPort: 80}, {HostIP: nodeIP, HostPort: 8082, ContainerPort: 80, Protocol: "udp"}}})
	w.check(err)
	w.everyKind()
	known := func() {
		t.Helper()
		first := ""
		for range 8 {
			for _, addr := range []string{net.JoinHostPort(clusterIP+"2", "80"), net.JoinHostPort(clusterIP6+"2", "80")} {
				pod, _, err := w.ask(w.pods[0].NetNS, "tcp", addr)
				if first == "" {
					first = pod
				}
				if err != nil || pod != first && strings.HasPrefix(addr, clusterIP) {
					t.Fatalf("%s: pod %s, then %s, %v", addr, first, pod, err)
				}
			}
		}
	}
	known()

	rules := runNft(t, "", "--stateless", "list", "ruleset")
	for _, kind := range []string{"vip4-pick-2", "vip6-lpick-2", "vip4-sticky-", "vip6-outside-sticky-", "port4-outside-pick-2", "vip4-ranged-outside-pick-2",
		"vip6-local-pick-2/lpick-2", "port6-local-pick-2/drop", "vip4-ranged-local-sticky-", "refuse", "publish"} {
		if !strings.Contains(rules, "chain "+kind) {
			t.Errorf("no chain %s is listed", kind)
		}
	}
	var anything any
	if err := json.Unmarshal([]byte(runNft(t, "", "-j", "list", "ruleset")), &anything); err != nil {
		t.Error(err)
	}

	saved := runNft(t, "", "list", "ruleset")
	runNft(t, "flush ruleset\n"+saved, "-f", "-")
	if diff := cmp.Diff(strings.Split(rules, "\n"), strings.Split(runNft(t, "", "--stateless", "list", "ruleset"), "\n")); diff != "" {
		t.Errorf("after save and restore:\n%s", diff)
	}
	known()
	for _, addr := range []string{nodeIP + ":30080", "192.0.2.101:80", "192.0.2.106:80"} {
		if _, _, err := w.ask(w.outside, "tcp", addr); err != nil {
			t.Errorf("%s after restore: %v", addr, err)
		}
	}
}
