package filter

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

func ports(_ *cluster.State, p *cluster.Pod) Test {
	if len(p.Ports) == 0 {
		return nil
	}
	return func(n *cluster.Node) Verdict {
		for _, want := range p.Ports {
			for _, have := range n.Ports {
				if want.Conflicts(have) {
					return Verdict{Reason: "node(s) didn't have free ports for the requested pod ports"}
				}
			}
		}
		return Verdict{}
	}
}
