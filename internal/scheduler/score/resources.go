package score

import (
	"math"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// leastAllocated prefers the node with most left.
func leastAllocated(_ *cluster.State, p *cluster.Pod) Marks {
	return func(n *cluster.Node) float64 {
		cpu, memory := fractions(n, p)
		return (free(cpu) + free(memory)) / 2 * 100
	}
}

// balanced prefers the node whose CPU and memory would be used evenly: 100 less the standard
// deviation of the two fractions.
func balanced(_ *cluster.State, p *cluster.Pod) Marks {
	return func(n *cluster.Node) float64 {
		cpu, memory := fractions(n, p)
		return (1 - math.Abs(min(cpu, 1)-min(memory, 1))/2) * 100
	}
}

// fractions of the node that would be requested with the pod on it.
func fractions(n *cluster.Node, p *cluster.Pod) (cpu, memory float64) {
	return fraction(n.Scored.CPU+p.Scored.CPU, n.Allocatable.CPU),
		fraction(n.Scored.Memory+p.Scored.Memory, n.Allocatable.Memory)
}

func fraction(used, total int64) float64 {
	if total <= 0 {
		return 1
	}
	return float64(used) / float64(total)
}

func free(f float64) float64 { return max(0, 1-f) }
