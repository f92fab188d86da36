package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

func node(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi"), corev1.ResourcePods: resource.MustParse("10"),
		}},
	}
	for _, f := range change {
		f(n)
	}
	return n
}

func label(key, value string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[key] = value }
}

func taint(key string, effect corev1.TaintEffect) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: effect}) }
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), Labels: map[string]string{}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func cpu(q string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}
	}
}

func hostPort(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: n, HostPort: n}}
	}
}

func app(name string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Labels["app"] = name } }

func priority(n int32) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.Priority = &n } }

func selector(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func apart(from string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(from)},
		}}
	}
}

func near(to string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term(to)},
		}}
	}
}

func term(to string) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": to}}}
}

func spread(skew int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: skew, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: corev1.DoNotSchedule,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": p.Labels["app"]}},
		}}
	}
}

// state has the nodes, and pods on them by node name.
func state(nodes []*corev1.Node, on map[string][]*corev1.Pod) *cluster.State {
	s := cluster.New(func(string) labels.Set { return nil })
	for _, n := range nodes {
		s.SetNode(n)
	}
	for name, pods := range on {
		for _, p := range pods {
			s.Assign(cluster.Compile(p), name)
		}
	}
	return s
}

func TestPick(t *testing.T) {
	a, b := node("a"), node("b", label("disk", "ssd"))
	for _, tc := range []struct {
		name  string
		nodes []*corev1.Node
		on    map[string][]*corev1.Pod
		pod   *corev1.Pod
		want  string // node, or message
	}{
		{"no nodes", nil, nil, pod("p"), "no nodes available to schedule pods"},
		{"the emptier node", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"a": {pod("x", cpu("1"))}}, pod("p"), "b"},
		{"selector", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"b": {pod("x", cpu("1"))}}, pod("p", selector("disk", "ssd")), "b"},
		{"nobody matches", []*corev1.Node{a}, nil, pod("p", selector("disk", "ssd")), "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
		{"too big for one, too big for all", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"a": {pod("x", cpu("1500m"))}}, pod("p", cpu("3")), "0/2 nodes are available: 2 Insufficient cpu."},
		{"what is free counts", []*corev1.Node{a}, map[string][]*corev1.Pod{"a": {pod("x", cpu("1500m"))}}, pod("p", cpu("600m")), "0/1 nodes are available: 1 Insufficient cpu."},
		{"no request fits on a full node", []*corev1.Node{a}, map[string][]*corev1.Pod{"a": {pod("x", cpu("2"))}}, pod("p"), "a"},
		{"cordon", []*corev1.Node{node("a", func(n *corev1.Node) { n.Spec.Unschedulable = true }), node("b", taint("k", corev1.TaintEffectNoSchedule))}, nil, pod("p"),
			"0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."},
		{"a taint that only asks", []*corev1.Node{node("a", taint("k", corev1.TaintEffectPreferNoSchedule)), b}, map[string][]*corev1.Pod{"b": {pod("x", cpu("100m"))}}, pod("p"), "b"},
		{"host port", []*corev1.Node{a}, map[string][]*corev1.Pod{"a": {pod("x", hostPort(80))}}, pod("p", hostPort(80)), "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."},
		{"another host port", []*corev1.Node{a}, map[string][]*corev1.Pod{"a": {pod("x", hostPort(80))}}, pod("p", hostPort(81)), "a"},
		{"apart", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"b": {pod("x", app("web"))}}, pod("p", apart("web")), "a"},
		{"others want to be apart", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"a": {pod("x", apart("web"))}}, pod("p", app("web")), "b"},
		{"near", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"b": {pod("x", app("db"), cpu("1"))}}, pod("p", near("db")), "b"},
		{"the first of a group may be near nobody", []*corev1.Node{a}, nil, pod("p", app("web"), near("web")), "a"},
		{"near to nobody", []*corev1.Node{a}, nil, pod("p", near("db")), "0/1 nodes are available: 1 node(s) didn't match pod affinity rules."},
		{"spread", []*corev1.Node{a, b}, map[string][]*corev1.Pod{"a": {pod("x", app("web")), pod("y", app("web"))}, "b": {pod("z", app("web"), cpu("1900m"))}},
			pod("p", app("web"), spread(1)), "b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := new(picker).pick(state(tc.nodes, tc.on), cluster.Compile(tc.pod))
			got := d.node
			if got == "" {
				got = d.message()
			}
			if got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestPreempt(t *testing.T) {
	nodes := []*corev1.Node{node("a"), node("b"), node("c", taint("k", corev1.TaintEffectNoSchedule))}
	on := map[string][]*corev1.Pod{
		"a": {pod("a1", cpu("1"), priority(5)), pod("a2", cpu("1"), priority(1))},
		"b": {pod("b1", cpu("2"), priority(7))},
	}
	s := state(nodes, on)
	try := func(p *corev1.Pod) (string, string) {
		c := cluster.Compile(p)
		room, why := preempt(s, c, new(picker).pick(s, c))
		if room == nil {
			return "", why
		}
		var names []string
		for _, v := range room.victims {
			names = append(names, v.Object.Name)
		}
		return room.node, strings.Join(names, " ")
	}
	if at, victims := try(pod("p", cpu("1"), priority(10))); at != "a" || victims != "a2" {
		t.Errorf("on %q without %q, want the least important on a", at, victims)
	}
	if at, victims := try(pod("p", cpu("2"), priority(6))); at != "a" || victims != "a1 a2" {
		t.Errorf("on %q without %q, want both on a", at, victims)
	}
	want := "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
	if at, why := try(pod("p", cpu("1"), priority(0))); at != "" || why != want {
		t.Errorf("%q %q", at, why)
	}
	if p := s.Pod("a1"); p == nil || s.NodeOf(p).Object.Name != "a" {
		t.Error("the trial changed the state")
	}
}

func TestQueueOrder(t *testing.T) {
	q, now := newQueue(), time.Unix(1000, 0)
	q.set(cluster.Compile(pod("late")), now.Add(time.Second))
	q.set(cluster.Compile(pod("early")), now)
	q.set(cluster.Compile(pod("high", priority(9))), now.Add(time.Minute))
	var got []string
	var last *item
	for it, _ := q.pop(now); it != nil; it, _ = q.pop(now) {
		got, last = append(got, it.pod.Object.Name), it
	}
	if fmt.Sprint(got) != "[high early late]" {
		t.Errorf("order %v", got)
	}
	q.park(last, now)
	if it, wait := q.pop(now.Add(time.Hour)); it != nil || wait != -1 {
		t.Error("a parked pod came back without a change of the cluster")
	}
	q.unpark()
	if it, wait := q.pop(now); it != nil || wait != firstBackoff {
		t.Errorf("after a change: %v, wait %v, want the back-off first", it, wait)
	}
	if it, _ := q.pop(now.Add(firstBackoff)); it == nil {
		t.Error("nothing after the back-off")
	}
}

func BenchmarkPick(b *testing.B) {
	var nodes []*corev1.Node
	for i := range 1000 {
		nodes = append(nodes, node(fmt.Sprint("n", i), func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("100000") }))
	}
	s, k := state(nodes, nil), new(picker)
	for i := 0; b.Loop(); i++ {
		p := cluster.Compile(pod(fmt.Sprint("p", i)))
		s.Assign(p, k.pick(s, p).node)
	}
}
