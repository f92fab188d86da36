package scheduler

import (
	"fmt"
	"sort"
	"strings"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
	"github.com/dhow-project/dhow/internal/scheduler/filter"
	"github.com/dhow-project/dhow/internal/scheduler/score"
)

// enough bounds how many possible nodes are graded: at 100 the best of them is as good as the best of all.
const enough = 100

// decision is where a pod goes, or why it can go nowhere.
type decision struct {
	node     string
	refusals map[string]filter.Verdict // by node name; only when node is empty
	never    string                    // why no node can help, "" when one could
	total    int
}

// picker decides. It only looks at the state; rotate makes it start each search
// where the last one ended, so that all nodes get their turn.
type picker struct{ rotate int }

func (k *picker) pick(s *cluster.State, p *cluster.Pod) decision {
	nodes := s.Nodes()
	d := decision{total: len(nodes), refusals: map[string]filter.Verdict{}}
	if d.never = filter.Never(s, p); d.never != "" {
		for _, n := range nodes {
			d.refusals[n.Object.Name] = filter.Verdict{Reason: d.never, Final: true}
		}
		return d
	}
	tests := filter.Prepare(s, p)
	var possible []*cluster.Node
	for i := range nodes {
		n := nodes[(k.rotate+i)%len(nodes)]
		if v := filter.Judge(tests, n); v.Reason != "" {
			d.refusals[n.Object.Name] = v
			continue
		}
		if possible = append(possible, n); len(possible) == enough {
			k.rotate = (k.rotate + i + 1) % len(nodes)
			break
		}
	}
	switch len(possible) {
	case 0:
		return d
	case 1:
		d.node = possible[0].Object.Name
		return d
	}
	marks := score.Prepare(s, p)
	best := -1.0
	for _, n := range possible {
		if m := marks(n); m > best {
			best, d.node = m, n.Object.Name
		}
	}
	return d
}

// message is upstream's text of the FailedScheduling event and of the PodScheduled condition.
func (d decision) message() string {
	if d.total == 0 {
		return "no nodes available to schedule pods"
	}
	why := d.never
	if why == "" {
		why = tally(d.refusals)
	}
	return fmt.Sprintf("0/%d nodes are available: %s.", d.total, why)
}

func tally(refusals map[string]filter.Verdict) string {
	count := map[string]int{}
	for _, v := range refusals {
		count[v.Reason]++
	}
	parts := make([]string, 0, len(count))
	for reason, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}
