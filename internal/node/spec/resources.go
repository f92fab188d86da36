// Package spec translates a pod's words into an engine's: resources, cgroups,
// security, names, hosts file, resolv.conf.
//
// All of it is pure; upstream's conversions are kept to the digit, for tools and
// tests compare them.
package spec

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/node/status"
)

// CFS period and the least the kernel takes.
const (
	period   = 100_000
	minQuota = 1_000
)

// Shares converts a CPU request to the cgroup v1 scale.
func Shares(milli int64) uint64 {
	return uint64(min(max(milli*1024/1000, 2), 262144))
}

// Quota converts a CPU limit to µs per period; 0 for none.
func Quota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*period/1000, minQuota)
}

// Container is the limits of one container.
func Container(p *corev1.Pod, c *corev1.Container, memory int64) engine.Resources {
	req, lim := c.Resources.Requests, c.Resources.Limits
	cpu := req.Cpu().MilliValue()
	if _, ok := req[corev1.ResourceCPU]; !ok {
		cpu = lim.Cpu().MilliValue()
	}
	r := engine.Resources{CPUShares: Shares(cpu), MemoryLimit: lim.Memory().Value()}
	if q := Quota(lim.Cpu().MilliValue()); q > 0 {
		r.CPUQuota, r.CPUPeriod = q, period
	}
	r.MemorySwap = r.MemoryLimit // no swap beyond it
	adj := OOMScore(p, c, memory)
	r.OOMScoreAdj = &adj
	r.HugepageLimits = hugepages(lim)
	return r
}

func hugepages(l corev1.ResourceList) (out map[string]uint64) {
	for name, q := range l {
		size, ok := strings.CutPrefix(string(name), corev1.ResourceHugePagesPrefix)
		if !ok {
			continue
		}
		n, err := resource.ParseQuantity(size)
		if err != nil {
			continue
		}
		if out == nil {
			out = map[string]uint64{}
		}
		out[pageSize(n.Value())] = uint64(q.Value())
	}
	return out
}

// pageSize is the kernel's name of a huge page size: 2MB, 1GB.
func pageSize(n int64) string {
	for _, u := range []string{"B", "KB", "MB"} {
		if n < 1024 {
			return itoa(n) + u
		}
		n >>= 10
	}
	return itoa(n) + "GB"
}

// OOMScore tells the kernel whom to kill first: best effort before burstable (the larger its request the later) before
// guaranteed and critical pods.
func OOMScore(p *corev1.Pod, c *corev1.Container, memory int64) int {
	if p.Spec.PriorityClassName == "system-node-critical" {
		return -997
	}
	switch status.QOS(p) {
	case corev1.PodQOSGuaranteed:
		return -997
	case corev1.PodQOSBestEffort:
		return 1000
	}
	if memory <= 0 {
		return 999
	}
	score := 1000 - 1000*c.Resources.Requests.Memory().Value()/memory
	if state.Sidecar(c) { // a sidecar outlives what it serves
		least := int64(1000)
		for i := range p.Spec.Containers {
			least = min(least, 1000-1000*p.Spec.Containers[i].Resources.Requests.Memory().Value()/memory)
		}
		score = min(score, least)
	}
	return int(min(max(score, 3), 999))
}

// CgroupParent is the pod's place in the tree, as upstream's QoS tiers.
func CgroupParent(p *corev1.Pod) string {
	name := "pod" + string(p.UID)
	switch status.QOS(p) {
	case corev1.PodQOSBurstable:
		return "burstable/" + name
	case corev1.PodQOSBestEffort:
		return "besteffort/" + name
	}
	return name
}

// Pod is the limits of the whole pod: a limit holds only when every container has one.
func Pod(p *corev1.Pod, pids int64) engine.Resources {
	req := resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{})
	lim := resourcehelper.PodLimits(p, resourcehelper.PodResourcesOptions{ExcludeOverhead: false})
	cpuAll, memAll := true, true
	for _, l := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range l {
			_, cpu := l[i].Resources.Limits[corev1.ResourceCPU]
			_, mem := l[i].Resources.Limits[corev1.ResourceMemory]
			cpuAll, memAll = cpuAll && cpu, memAll && mem
		}
	}
	if r := p.Spec.Resources; r != nil {
		_, cpu := r.Limits[corev1.ResourceCPU]
		_, mem := r.Limits[corev1.ResourceMemory]
		cpuAll, memAll = cpuAll || cpu, memAll || mem
	}
	out := engine.Resources{CPUShares: Shares(req.Cpu().MilliValue()), PidsLimit: pids}
	if cpuAll {
		if q := Quota(lim.Cpu().MilliValue()); q > 0 {
			out.CPUQuota, out.CPUPeriod = q, period
		}
	}
	if memAll {
		out.MemoryLimit = lim.Memory().Value()
	}
	return out
}
