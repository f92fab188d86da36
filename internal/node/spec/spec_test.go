package spec

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
)

func list(cpu, mem string) corev1.ResourceList {
	l := corev1.ResourceList{}
	if cpu != "" {
		l[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if mem != "" {
		l[corev1.ResourceMemory] = resource.MustParse(mem)
	}
	return l
}

func TestResourcesBecomeCgroupValues(t *testing.T) {
	const memory = 4 << 30
	for name, tc := range map[string]struct {
		req, lim corev1.ResourceList
		want     engine.Resources
		adj      int
		parent   string
	}{
		"best effort": {nil, nil, engine.Resources{CPUShares: 2}, 1000, "besteffort/podu"},
		"burstable": {list("250m", "1Gi"), list("", "2Gi"),
			engine.Resources{CPUShares: 256, MemoryLimit: 2 << 30, MemorySwap: 2 << 30}, 750, "burstable/podu"},
		"guaranteed": {list("500m", "1Gi"), list("500m", "1Gi"),
			engine.Resources{CPUShares: 512, CPUQuota: 50000, CPUPeriod: 100000, MemoryLimit: 1 << 30, MemorySwap: 1 << 30}, -997, "podu"},
		"tiny": {list("1m", ""), list("5m", ""), engine.Resources{CPUShares: 2, CPUQuota: 1000, CPUPeriod: 100000}, 999, "burstable/podu"},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "c", Resources: corev1.ResourceRequirements{Requests: tc.req, Limits: tc.lim}}}}}
		got := Container(p, &p.Spec.Containers[0], memory)
		if *got.OOMScoreAdj != tc.adj {
			t.Errorf("%s: oom score %d, want %d", name, *got.OOMScoreAdj, tc.adj)
		}
		got.OOMScoreAdj = nil
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if got := CgroupParent(p); got != tc.parent {
			t.Errorf("%s: cgroup %s", name, got)
		}
	}
}

func TestDNSByPolicy(t *testing.T) {
	node := ParseResolvConf([]byte("# c\nnameserver 9.9.9.9\nsearch corp.example. .\noptions edns0 ndots:2\n"))
	val := "1"
	for name, tc := range map[string]struct {
		spec corev1.PodSpec
		want engine.DNS
	}{
		"cluster first": {corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst},
			engine.DNS{Servers: []string{"10.0.0.10"}, Searches: []string{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"}, Options: []string{"ndots:5"}}},
		"cluster first on the host": {corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, HostNetwork: true}, node},
		"default":                   {corev1.PodSpec{DNSPolicy: corev1.DNSDefault}, node},
		"none with config": {corev1.PodSpec{DNSPolicy: corev1.DNSNone, DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"1.1.1.1", "1.1.1.1"}, Searches: []string{"x"},
			Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &val}, {Name: "debug"}}}},
			engine.DNS{Servers: []string{"1.1.1.1"}, Searches: []string{"x"}, Options: []string{"ndots:1", "debug"}}},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: tc.spec}
		if d := cmp.Diff(tc.want, DNS(p, node, "10.0.0.10", "cluster.local")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestNonRoot(t *testing.T) {
	yes, zero, one := true, int64(0), int64(1)
	for _, tc := range []struct {
		user  *int64
		image string
		ok    bool
	}{{nil, "", false}, {nil, "0", false}, {nil, "app", false}, {nil, "1000:1000", true}, {&zero, "1000", false}, {&one, "", true}} {
		p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: tc.user}}}
		if err := NonRoot(p, &corev1.Container{}, tc.image); (err == nil) != tc.ok {
			t.Errorf("%v %q: %v", tc.user, tc.image, err)
		}
	}
}
