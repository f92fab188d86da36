package filter

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

func nodeAffinity(_ *cluster.State, p *cluster.Pod) Test {
	if p.Required == nil {
		return nil
	}
	return func(n *cluster.Node) Verdict {
		if ok, err := p.Required.Match(n.Object); ok && err == nil {
			return Verdict{}
		}
		return Verdict{"node(s) didn't match Pod's node affinity/selector", true}
	}
}
