package score

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
	"github.com/dhow-project/dhow/internal/scheduler/filter"
)

// taints prefers nodes with few PreferNoSchedule taints that the pod does not tolerate.
func taints(s *cluster.State, p *cluster.Pod) Marks {
	for _, n := range s.Nodes() {
		if intolerable(n, p) > 0 {
			return func(n *cluster.Node) float64 { return 100 / float64(1+intolerable(n, p)) }
		}
	}
	return nil
}

func intolerable(n *cluster.Node, p *cluster.Pod) int {
	count := 0
taints:
	for i := range n.Object.Spec.Taints {
		t := &n.Object.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule {
			continue
		}
		for j := range p.Object.Spec.Tolerations {
			if filter.Tolerates(&p.Object.Spec.Tolerations[j], t) {
				continue taints
			}
		}
		count++
	}
	return count
}

// nodeAffinity adds up the weights of the preferred terms that match.
func nodeAffinity(s *cluster.State, p *cluster.Pod) Marks {
	if p.Preferred == nil {
		return nil
	}
	return normalized(s, func(n *cluster.Node) float64 { return float64(p.Preferred.Score(n.Object)) })
}

// images prefers nodes that have the images, by size: from 23 MB (nothing) to 1 GB a container (all).
func images(s *cluster.State, p *cluster.Pod) Marks {
	if len(s.Nodes()) < 2 {
		return nil
	}
	const least, most = 23 << 20, 1000 << 20
	wanted := map[string]bool{}
	for i := range p.Object.Spec.Containers {
		wanted[p.Object.Spec.Containers[i].Image] = true
	}
	top := float64(most * len(p.Object.Spec.Containers))
	return func(n *cluster.Node) float64 {
		sum := 0.0
		for _, image := range n.Object.Status.Images {
			for _, name := range image.Names {
				if wanted[name] {
					sum += float64(image.SizeBytes)
					break
				}
			}
		}
		return max(0, min(1, (sum-least)/(top-least))) * 100
	}
}

// normalized stretches raw marks to 0…100 over all nodes.
func normalized(s *cluster.State, raw Marks) Marks {
	low, high := 0.0, 0.0
	for i, n := range s.Nodes() {
		v := raw(n)
		if i == 0 {
			low, high = v, v
		}
		low, high = min(low, v), max(high, v)
	}
	if high == low {
		return nil
	}
	return func(n *cluster.Node) float64 { return (raw(n) - low) / (high - low) * 100 }
}
