package filter

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

func nodeName(_ *cluster.State, p *cluster.Pod) Test {
	want := p.Object.Spec.NodeName
	if want == "" {
		return nil
	}
	return func(n *cluster.Node) Verdict {
		if n.Object.Name == want {
			return Verdict{}
		}
		return Verdict{"node(s) didn't match the requested node name", true}
	}
}
