package pod

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/spec"
	"github.com/dhow-project/dhow/internal/node/state"
)

// resize brings running containers to the size their spec has now (KEP-1287). While containers change, the pod's own
// limits hold both sizes; afterwards they are lowered:
//
//	pod to the larger of both ► containers (in place, or ended when their policy says so) ► pod to the sum
func resize(p *state.Pod, plan *Plan) {
	s := p.Sandbox()
	have, final := s.Config.Resources, spec.Pod(p.API, s.Config.Resources.PidsLimit)
	if have.CPUShares == 0 {
		return // made without limits
	}
	var steps []Step
	changing := false
	for _, l := range [][]corev1.Container{p.API.Spec.InitContainers, p.API.Spec.Containers} {
		for i := range l {
			c, n := &l[i], p.Newest(l[i].Name)
			if n == nil || n.State != engine.ContainerRunning || !p.Here(n) || n.Config.Resources.CPUShares == 0 {
				continue
			}
			now := n.Config.Resources
			want := withSize(now, spec.Container(p.API, c, 0))
			if sameSize(now, want) {
				continue
			}
			changing = true
			step := Step{Do: Resize, Container: c.Name, ID: n.ID, Resources: &want}
			if sizedByRestart(c, now, want) {
				if m := p.Mem.Container(c.Name); m.ID == n.ID && m.Kill != nil {
					continue // on its way
				}
				step.Resources = nil
				step.Reason = state.Reason{Reason: "Killing", Message: "Container " + c.Name + " resize requires restart"}
			}
			steps = append(steps, step)
		}
	}
	target := final
	if changing {
		target = larger(have, final)
	}
	if target = withSize(have, target); !sameSize(have, target) {
		plan.add(Step{Do: Resize, ID: s.ID, Resources: &target})
	}
	plan.add(steps...)
}

// withSize is r with the limits of size. A limit that is no longer wanted is lifted.
func withSize(r, size engine.Resources) engine.Resources {
	r.CPUShares = size.CPUShares
	r.CPUPeriod = max(r.CPUPeriod, size.CPUPeriod)
	r.CPUQuota = lifted(r.CPUQuota, size.CPUQuota)
	r.MemoryLimit = lifted(r.MemoryLimit, size.MemoryLimit)
	if size.MemorySwap != 0 || r.MemorySwap != 0 {
		r.MemorySwap = lifted(r.MemorySwap, size.MemorySwap)
	}
	return r
}

func lifted(was, want int64) int64 {
	if want == 0 && was != 0 {
		return -1
	}
	return want
}

func sameSize(a, b engine.Resources) bool {
	return a.CPUShares == b.CPUShares && a.CPUQuota == b.CPUQuota && a.MemoryLimit == b.MemoryLimit
}

func larger(a, b engine.Resources) engine.Resources {
	wider := func(x, y int64) int64 {
		if x <= 0 || y <= 0 {
			return 0
		}
		return max(x, y)
	}
	return engine.Resources{
		CPUShares: max(a.CPUShares, b.CPUShares), CPUPeriod: max(a.CPUPeriod, b.CPUPeriod),
		CPUQuota: wider(a.CPUQuota, b.CPUQuota), MemoryLimit: wider(a.MemoryLimit, b.MemoryLimit),
	}
}

// sizedByRestart: the container's policy for one of the changed resources asks for a new container.
func sizedByRestart(c *corev1.Container, now, want engine.Resources) bool {
	for _, r := range c.ResizePolicy {
		if r.RestartPolicy != corev1.RestartContainer {
			continue
		}
		switch r.ResourceName {
		case corev1.ResourceCPU:
			if now.CPUShares != want.CPUShares || now.CPUQuota != want.CPUQuota {
				return true
			}
		case corev1.ResourceMemory:
			if now.MemoryLimit != want.MemoryLimit {
				return true
			}
		}
	}
	return false
}
