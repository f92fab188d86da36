// Package filter holds the rules that say on which nodes a pod can run.
//
// A rule looks at a pod once and gives back a test for nodes, or nil when it has nothing
// to say about this pod. One rule a file; All is their order. Rules only look.
package filter

import "github.com/dhow-project/dhow/internal/scheduler/cluster"

// Verdict of a rule on one node. The zero value means that the pod fits.
type Verdict struct {
	// Reason is upstream's text, counted over all nodes in the FailedScheduling event.
	Reason string
	// Final: removing other pods from the node would not help.
	Final bool
}

// Test judges one node.
type Test func(*cluster.Node) Verdict

// Rule prepares a test for a pod.
type Rule struct {
	Name string // as upstream's plugin
	For  func(*cluster.State, *cluster.Pod) Test
}

// All rules, the cheap and decisive first.
func All() []Rule {
	return []Rule{
		{"NodeUnschedulable", unschedulable},
		{"NodeName", nodeName},
		{"TaintToleration", taints},
		{"NodeAffinity", nodeAffinity},
		{"NodePorts", ports},
		{"NodeResourcesFit", fit},
		{"VolumeRestrictions", onePod},
		{"VolumeBinding", volumes},
		{"PodTopologySpread", spread},
		{"InterPodAffinity", podAffinity},
	}
}

// Prepare makes the tests that apply to a pod.
func Prepare(s *cluster.State, p *cluster.Pod) []Test {
	var tests []Test
	for _, r := range All() {
		if t := r.For(s, p); t != nil {
			tests = append(tests, t)
		}
	}
	return tests
}

// Judge gives the first refusal.
func Judge(tests []Test, n *cluster.Node) Verdict {
	for _, t := range tests {
		if v := t(n); v.Reason != "" {
			return v
		}
	}
	return Verdict{}
}
