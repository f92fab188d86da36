package node

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
	corev1helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	"github.com/dhow-project/dhow/internal/node/spec"
)

// admit decides whether the node takes a pod that was bound to it, in upstream's order and words. p.mu is held.
// The scheduler has checked most of it; a pod bound by hand or by two schedulers at once has not been.
func (p *pods) admit(pod *corev1.Pod) (reason, message string) {
	node := p.n.self.node()
	if os := pod.Spec.OS; os != nil && os.Name != corev1.Linux {
		return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
	}
	if reason, message = p.fits(pod); reason != "" {
		return reason, message
	}
	if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !ok {
		return "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
	}
	if pod.Spec.NodeName != "" && pod.Spec.NodeName != p.n.cfg.Name {
		return "NodeName", "Predicate NodeName failed: node(s) didn't match the requested node name"
	}
	if clash := p.portClash(pod); clash != "" {
		return "NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
	}
	noExecute := func(t *corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute }
	if _, untolerated := corev1helpers.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, noExecute, false); untolerated {
		return "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
	}
	if !p.n.self.appArmor() && wantsAppArmor(pod) {
		return "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"
	}
	return "", ""
}

// wantsAppArmor: RuntimeDefault is no wish for a profile of anybody's, and is granted without one.
func wantsAppArmor(pod *corev1.Pod) bool {
	for _, l := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range l {
			if name := spec.AppArmor(pod, &l[i]); name != "" && name != "unconfined" {
				return true
			}
		}
	}
	return false
}

// fits compares requests with what is left.
func (p *pods) fits(pod *corev1.Pod) (reason, message string) {
	alloc := p.n.self.allocatable()
	used := corev1.ResourceList{}
	count := int64(0)
	for _, e := range p.workers {
		if !e.admitted || finished(e.api) {
			continue
		}
		count++
		for name, q := range resourcehelper.PodRequests(e.api, resourcehelper.PodResourcesOptions{}) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
	}
	if room := alloc[corev1.ResourcePods]; count+1 > room.Value() {
		return outOf(corev1.ResourcePods, 1, count, room.Value())
	}
	req := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if r, u, a := amount(name, req[name]), amount(name, used[name]), amount(name, alloc[name]); r > 0 && u+r > a {
			return outOf(name, r, u, a)
		}
	}
	for name, q := range req {
		a, here := alloc[name]
		if !here || amount(name, q) == 0 {
			continue // resources of the cluster, not of the node
		}
		if r, u := amount(name, q), amount(name, used[name]); u+r > amount(name, a) {
			return outOf(name, r, u, amount(name, a))
		}
	}
	return "", ""
}

func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

func outOf(name corev1.ResourceName, requested, used, capacity int64) (string, string) {
	return "OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
		name, requested, used, capacity)
}

// portClash names a host port that is taken.
func (p *pods) portClash(pod *corev1.Pod) string {
	want := hostPorts(pod)
	if len(want) == 0 {
		return ""
	}
	for _, e := range p.workers {
		if !e.admitted || finished(e.api) {
			continue
		}
		for _, have := range hostPorts(e.api) {
			for _, w := range want {
				if have.HostPort == w.HostPort && have.Protocol == w.Protocol && (any4(have.HostIP) || any4(w.HostIP) || have.HostIP == w.HostIP) {
					return fmt.Sprint(w.HostPort)
				}
			}
		}
	}
	return ""
}

func any4(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

func hostPorts(pod *corev1.Pod) (out []corev1.ContainerPort) {
	for _, l := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range l {
			for _, cp := range l[i].Ports {
				if pod.Spec.HostNetwork && cp.HostPort == 0 {
					cp.HostPort = cp.ContainerPort
				}
				if cp.HostPort != 0 {
					if cp.Protocol == "" {
						cp.Protocol = corev1.ProtocolTCP
					}
					out = append(out, cp)
				}
			}
		}
	}
	return out
}

// sweepDirs removes directories of pods that are no more: a crash between two steps of their end left them.
func (n *Node) sweepDirs(left []string, alive map[string]bool) {
	for _, uid := range left {
		if alive[uid] {
			continue
		}
		if err := n.pods.volumes.Remove(uid); err != nil {
			n.log.Warn("directory of a former pod not removed; the next start tries again", "uid", uid, "error", err)
		}
	}
}
