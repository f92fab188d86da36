package score

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// spread keeps a controller's pods apart: by the pod's soft constraints, or by host when it has none.
func spread(s *cluster.State, p *cluster.Pod) Marks {
	if len(s.Nodes()) < 2 {
		return nil
	}
	soft := p.Spread[:0:0]
	for _, c := range p.Spread {
		if !c.Hard {
			soft = append(soft, c)
		}
	}
	if len(p.Spread) == 0 {
		return func(n *cluster.Node) float64 { return 100 / float64(1+n.Owners[p.Owner]) }
	}
	if len(soft) == 0 {
		return nil
	}
	counts := make([]map[string]int, len(soft))
	for i, c := range soft {
		counts[i] = matching(s, p, c)
	}
	return func(n *cluster.Node) float64 {
		total := 0.0
		for i, c := range soft {
			if value, ok := n.Object.Labels[c.TopologyKey]; ok {
				total += 100 / float64(1+counts[i][value])
			}
		}
		return total / float64(len(soft))
	}
}

func matching(s *cluster.State, p *cluster.Pod, c cluster.Spread) map[string]int {
	count := map[string]int{}
	for _, n := range s.Nodes() {
		value, ok := n.Object.Labels[c.TopologyKey]
		if !ok {
			continue
		}
		for _, other := range n.Pods {
			if other.Object.Namespace == p.Object.Namespace && c.Selector.Matches(labels.Set(other.Object.Labels)) {
				count[value]++
			}
		}
	}
	return count
}
