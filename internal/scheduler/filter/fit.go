package filter

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// fit compares requests with what is left. A resource that is not requested is not compared, so that a
// pod without requests fits on an overcommitted node, as upstream has it.
func fit(_ *cluster.State, p *cluster.Pod) Test {
	want := p.Requests
	return func(n *cluster.Node) Verdict {
		if len(n.Pods)+1 > n.MaxPods {
			return Verdict{Reason: "Too many pods"}
		}
		for _, c := range []struct {
			name              corev1.ResourceName
			want, used, total int64
		}{
			{corev1.ResourceCPU, want.CPU, n.Requested.CPU, n.Allocatable.CPU},
			{corev1.ResourceMemory, want.Memory, n.Requested.Memory, n.Allocatable.Memory},
			{corev1.ResourceEphemeralStorage, want.Ephemeral, n.Requested.Ephemeral, n.Allocatable.Ephemeral},
		} {
			if c.want > 0 && c.want > c.total-c.used {
				return insufficient(c.name, c.want > c.total)
			}
		}
		for name, v := range want.Other {
			if total := n.Allocatable.Other[name]; v > 0 && v > total-n.Requested.Other[name] {
				return insufficient(name, v > total)
			}
		}
		return Verdict{}
	}
}

func insufficient(name corev1.ResourceName, never bool) Verdict {
	return Verdict{"Insufficient " + string(name), never}
}
