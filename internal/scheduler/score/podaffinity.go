package score

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

// podAffinity adds up the preferred (anti-)affinity terms of the newcomer over the topology domains.
func podAffinity(s *cluster.State, p *cluster.Pod) Marks {
	if len(p.PreferredAffinity) == 0 && len(p.PreferredAntiAffinity) == 0 {
		return nil
	}
	type place struct{ key, value string }
	marks := map[place]float64{}
	add := func(terms []cluster.WeightedTerm, sign float64) {
		for i := range terms {
			for _, n := range s.Nodes() {
				value, ok := n.Object.Labels[terms[i].TopologyKey]
				if !ok {
					continue
				}
				for _, other := range n.Pods {
					if s.Matches(&terms[i].Term, other.Object) {
						marks[place{terms[i].TopologyKey, value}] += sign * float64(terms[i].Weight)
					}
				}
			}
		}
	}
	add(p.PreferredAffinity, 1)
	add(p.PreferredAntiAffinity, -1)
	if len(marks) == 0 {
		return nil
	}
	return normalized(s, func(n *cluster.Node) float64 {
		total := 0.0
		for at, mark := range marks {
			if n.Object.Labels[at.key] == at.value {
				total += mark
			}
		}
		return total
	})
}
