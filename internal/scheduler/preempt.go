package scheduler

import (
	"fmt"
	"sort"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
	"github.com/dhow-project/dhow/internal/scheduler/filter"
)

// sacrifice is one node on which a pod would fit without some others.
type sacrifice struct {
	node    string
	victims []*cluster.Pod // highest priority first
}

// preempt finds the node on which the least must go for p to fit. It tries on the state itself and
// leaves it as it was. why is the text that upstream appends to the event.
func preempt(s *cluster.State, p *cluster.Pod, d decision) (best *sacrifice, why string) {
	if policy := p.Object.Spec.PreemptionPolicy; policy != nil && *policy == corev1.PreemptNever {
		return nil, "preemption: not eligible due to preemptionPolicy=Never."
	}
	failed := map[string]filter.Verdict{}
	for _, n := range s.Nodes() {
		name := n.Object.Name
		v, refused := d.refusals[name]
		switch {
		case refused && v.Final:
			failed[name] = filter.Verdict{Reason: "Preemption is not helpful for scheduling"}
		default:
			victims := victimsOn(s, n, p)
			if victims == nil {
				failed[name] = filter.Verdict{Reason: "No preemption victims found for incoming pod"}
				continue
			}
			if c := (&sacrifice{name, victims}); best == nil || c.less(best) {
				best = c
			}
		}
	}
	if best != nil {
		return best, ""
	}
	return nil, fmt.Sprintf("preemption: 0/%d nodes are available: %s.", d.total, tally(failed))
}

// victimsOn removes every pod of lower priority, and then takes back as many as fit again, the most important first.
func victimsOn(s *cluster.State, n *cluster.Node, p *cluster.Pod) []*cluster.Pod {
	name := n.Object.Name
	var lower []*cluster.Pod
	for _, other := range n.Pods {
		if other.Priority < p.Priority {
			lower = append(lower, other)
		}
	}
	if len(lower) == 0 {
		return nil
	}
	sort.Slice(lower, func(i, j int) bool { return moreImportant(lower[i], lower[j]) })
	for _, v := range lower {
		s.Remove(v.Object.UID)
	}
	fits := func() bool { return filter.Judge(filter.Prepare(s, p), n).Reason == "" }
	var victims []*cluster.Pod
	possible := fits()
	for _, v := range lower {
		s.Assign(v, name)
		if possible && !fits() {
			s.Remove(v.Object.UID)
			victims = append(victims, v)
		}
	}
	for _, v := range victims {
		s.Assign(v, name)
	}
	return victims
}

// moreImportant: higher priority, then older.
func moreImportant(a, b *cluster.Pod) bool {
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	at, bt := a.Object.Status.StartTime, b.Object.Status.StartTime
	if at == nil || bt == nil {
		return at != nil
	}
	return at.Before(bt)
}

// less: upstream's order without the disruption budgets: lowest highest priority, lowest sum, fewest, latest start.
func (a *sacrifice) less(b *sacrifice) bool {
	if x, y := a.victims[0].Priority, b.victims[0].Priority; x != y {
		return x < y
	}
	if x, y := sum(a.victims), sum(b.victims); x != y {
		return x < y
	}
	if x, y := len(a.victims), len(b.victims); x != y {
		return x < y
	}
	return moreImportant(b.victims[0], a.victims[0])
}

func sum(pods []*cluster.Pod) (n int64) {
	for _, p := range pods {
		n += int64(p.Priority) + 1<<31
	}
	return n
}
