package filter

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

// place is one topology domain: key and value of a node label.
type place struct{ key, value string }

// podAffinity enforces required affinity and anti-affinity in both directions.
func podAffinity(s *cluster.State, p *cluster.Pod) Test {
	objections := objecting(s, p)
	if len(p.Affinity) == 0 && len(p.AntiAffinity) == 0 && len(objections) == 0 {
		return nil
	}
	wanted, unwanted := occupied(s, p.Affinity), occupied(s, p.AntiAffinity)
	first := len(p.Affinity) > 0 && nowhere(wanted) && matchesItself(s, p)
	return func(n *cluster.Node) Verdict {
		for i := range p.Affinity {
			at, ok := placeOf(n, p.Affinity[i].TopologyKey)
			if !ok || !wanted[i][at] && !first {
				return Verdict{"node(s) didn't match pod affinity rules", true}
			}
		}
		for i := range p.AntiAffinity {
			if at, ok := placeOf(n, p.AntiAffinity[i].TopologyKey); ok && unwanted[i][at] {
				return Verdict{Reason: "node(s) didn't match pod anti-affinity rules"}
			}
		}
		for at := range objections {
			if n.Object.Labels[at.key] == at.value {
				return Verdict{Reason: "node(s) didn't satisfy existing pods anti-affinity rules"}
			}
		}
		return Verdict{}
	}
}

func placeOf(n *cluster.Node, key string) (place, bool) {
	if n == nil || n.Object == nil {
		return place{}, false
	}
	value, ok := n.Object.Labels[key]
	return place{key, value}, ok
}

// objecting are the places whose pods do not want the newcomer near.
func objecting(s *cluster.State, p *cluster.Pod) map[place]bool {
	var out map[place]bool
	for _, other := range s.Picky() {
		for i := range other.AntiAffinity {
			t := &other.AntiAffinity[i]
			if !s.Matches(t, p.Object) {
				continue
			}
			if at, ok := placeOf(s.NodeOf(other), t.TopologyKey); ok {
				if out == nil {
					out = map[place]bool{}
				}
				out[at] = true
			}
		}
	}
	return out
}

// occupied gives for each term the places that hold a pod it selects.
func occupied(s *cluster.State, terms []cluster.Term) []map[place]bool {
	out := make([]map[place]bool, len(terms))
	for i := range terms {
		out[i] = map[place]bool{}
		for _, n := range s.Nodes() {
			at, ok := placeOf(n, terms[i].TopologyKey)
			if !ok || out[i][at] {
				continue
			}
			for _, other := range n.Pods {
				if s.Matches(&terms[i], other.Object) {
					out[i][at] = true
					break
				}
			}
		}
	}
	return out
}

func nowhere(places []map[place]bool) bool {
	for _, m := range places {
		if len(m) > 0 {
			return false
		}
	}
	return true
}

// matchesItself: the first pod of a group that wants to be near itself may go anywhere.
func matchesItself(s *cluster.State, p *cluster.Pod) bool {
	for i := range p.Affinity {
		if !s.Matches(&p.Affinity[i], p.Object) {
			return false
		}
	}
	return true
}
