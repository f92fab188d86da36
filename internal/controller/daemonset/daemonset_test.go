package daemonset

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func TestDaemonSet(t *testing.T) {
	labels := map[string]string{"app": "d"}
	ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "d"}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{NodeSelector: map[string]string{"on": "yes"}, Containers: []corev1.Container{{Name: "c", Image: "v1"}}}},
	}}
	seed := []api.Object{ds}
	for _, n := range []string{"a", "b", "c", "tainted", "off"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n, Labels: map[string]string{"on": "yes"}}}
		switch n {
		case "tainted":
			node.Spec.Taints = []corev1.Taint{{Key: "x", Effect: corev1.TaintEffectNoSchedule}}
		case "off":
			node.Labels = nil
		}
		seed = append(seed, node)
	}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, func(r *test.Rig) {
		images := func() map[string]int {
			out := map[string]int{}
			for _, p := range test.List[*corev1.Pod](r) {
				out[p.Spec.Containers[0].Image]++
			}
			return out
		}
		r.Ready(test.All)
		s := test.Get[*appsv1.DaemonSet](r, "ns", "d").Status
		if s.DesiredNumberScheduled != 3 || s.NumberAvailable != 3 || s.UpdatedNumberScheduled != 3 || s.NumberMisscheduled != 0 {
			t.Errorf("status %+v", s)
		}
		test.Change(r, "ns", "d", func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.Containers[0].Image = "v2" })
		if got := images(); got["v1"] != 2 || got["v2"] != 1 {
			t.Errorf("after one step: %v", got)
		}
		for range 3 {
			r.Ready(test.All)
		}
		if got := images(); got["v2"] != 3 || len(got) != 1 {
			t.Errorf("at the end: %v", got)
		}
		if l := test.List[*appsv1.ControllerRevision](r); len(l) != 2 {
			t.Errorf("%d revisions", len(l))
		}
		test.Change(r, "", "off", func(n *corev1.Node) { n.Labels = map[string]string{"on": "yes"} })
		test.Change(r, "", "a", func(n *corev1.Node) { n.Labels = nil })
		on := map[string]bool{}
		for _, p := range test.List[*corev1.Pod](r) {
			on[node(p)] = true
		}
		if len(on) != 3 || on["a"] || !on["off"] {
			t.Errorf("pods are on %v", on)
		}
	})
}
