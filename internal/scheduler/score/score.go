// Package score holds the rules that say which of the possible nodes is best.
//
// A rule looks at a pod once and gives back marks for nodes, 0 to 100, or nil when it
// has nothing to say. One rule a file; All lists them with their weights. Rules only look.
package score

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

// Marks grades one node, 0 (worst) to 100.
type Marks func(*cluster.Node) float64

// Rule prepares marks for a pod.
type Rule struct {
	Name   string // as upstream's plugin
	Weight float64
	For    func(*cluster.State, *cluster.Pod) Marks
}

// All rules with upstream's default weights.
func All() []Rule {
	return []Rule{
		{"TaintToleration", 3, taints},
		{"NodeAffinity", 2, nodeAffinity},
		{"NodeResourcesFit", 1, leastAllocated},
		{"NodeResourcesBalancedAllocation", 1, balanced},
		{"PodTopologySpread", 2, spread},
		{"InterPodAffinity", 2, podAffinity},
		{"ImageLocality", 1, images},
	}
}

// Prepare makes one function that adds up all rules that apply.
func Prepare(s *cluster.State, p *cluster.Pod) Marks {
	var marks []Marks
	var weights []float64
	for _, r := range All() {
		if m := r.For(s, p); m != nil {
			marks, weights = append(marks, m), append(weights, r.Weight)
		}
	}
	return func(n *cluster.Node) float64 {
		total := 0.0
		for i, m := range marks {
			total += weights[i] * m(n)
		}
		return total
	}
}
