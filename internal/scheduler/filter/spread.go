package filter

import (
	"math"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// domains counts matching pods for each value of a topology key, over the nodes that count.
type domains struct {
	rule  cluster.Spread
	count map[string]int
	self  int // 1 when the newcomer matches its own selector
	least int // matching pods in the emptiest domain
}

// spread enforces the hard topology spread constraints (KEP-895, minDomains KEP-3022).
func spread(s *cluster.State, p *cluster.Pod) Test {
	var hard []domains
	for _, c := range p.Spread {
		if c.Hard {
			hard = append(hard, countDomains(s, p, c))
		}
	}
	if len(hard) == 0 {
		return nil
	}
	return func(n *cluster.Node) Verdict {
		for _, d := range hard {
			value, ok := n.Object.Labels[d.rule.TopologyKey]
			if !ok {
				return Verdict{"node(s) didn't match pod topology spread constraints (missing required label)", true}
			}
			if d.count[value]+d.self-d.least > d.rule.MaxSkew {
				return Verdict{Reason: "node(s) didn't match pod topology spread constraints"}
			}
		}
		return Verdict{}
	}
}

func countDomains(s *cluster.State, p *cluster.Pod, c cluster.Spread) domains {
	d := domains{rule: c, count: map[string]int{}}
	for _, n := range s.Nodes() {
		value, ok := n.Object.Labels[c.TopologyKey]
		if !ok || !counts(n, p, c) {
			continue
		}
		d.count[value] += 0
		for _, other := range n.Pods {
			if o := other.Object; o.Namespace == p.Object.Namespace && o.DeletionTimestamp == nil && c.Selector.Matches(labels.Set(o.Labels)) {
				d.count[value]++
			}
		}
	}
	if c.Selector.Matches(labels.Set(p.Object.Labels)) {
		d.self = 1
	}
	d.least = d.emptiest()
	return d
}

func counts(n *cluster.Node, p *cluster.Pod, c cluster.Spread) bool {
	if c.HonorAffinity && p.Required != nil {
		if ok, err := p.Required.Match(n.Object); !ok || err != nil {
			return false
		}
	}
	return !c.HonorTaints || !untolerated(n.Object, p.Object.Spec.Tolerations)
}

func (d *domains) emptiest() int {
	if len(d.count) < d.rule.MinDomains {
		return 0
	}
	least := math.MaxInt
	for _, n := range d.count {
		least = min(least, n)
	}
	if least == math.MaxInt {
		return 0
	}
	return least
}
