package podgc

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func pod(name, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase}}
}

func names(r *test.Rig) []string {
	out := []string{}
	for _, p := range test.List[*corev1.Pod](r) {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

func run(t *testing.T, max int, seed []api.Object, f func(*test.Rig)) {
	test.Run(t, func(d controller.Deps) []controller.Part {
		c := New(d)
		c.max = max
		return []controller.Part{c}
	}, seed, f)
}

func TestVanishedNode(t *testing.T) {
	kept := pod("kept", "gone", corev1.PodRunning) // a finalizer shows what it was before it went
	kept.Finalizers = []string{"example.com/look"}
	seed := []api.Object{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "here"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "gone"}},
		pod("a", "here", corev1.PodRunning), pod("b", "gone", corev1.PodRunning), pod("c", "gone", corev1.PodSucceeded), kept, pod("d", "never", corev1.PodPending), pod("e", "", corev1.PodPending)}
	run(t, threshold, seed, func(r *test.Rig) {
		r.OK(client.For[*corev1.Node](r.Fake).Delete(r.Ctx, "", "gone", metav1.DeleteOptions{}))
		r.Settle()
		if d := cmp.Diff([]string{"a", "b", "c", "d", "e", "kept"}, names(r)); d != "" {
			t.Error("before the quarantine is over: ", d)
		}
		r.Pass(quarantine)
		if d := cmp.Diff([]string{"a", "e", "kept"}, names(r)); d != "" {
			t.Error(d)
		}
		p := test.Get[*corev1.Pod](r, "ns", "kept")
		c := controller.PodCondition(p, corev1.DisruptionTarget)
		if p.Status.Phase != corev1.PodFailed || c == nil || c.Reason != "DeletionByPodGC" || p.DeletionTimestamp == nil {
			t.Errorf("status %+v", p.Status)
		}
	})
}

func TestNodeComesBack(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	run(t, threshold, []api.Object{node, pod("a", "n", corev1.PodRunning)}, func(r *test.Rig) {
		r.OK(client.For[*corev1.Node](r.Fake).Delete(r.Ctx, "", "n", metav1.DeleteOptions{}))
		r.Settle()
		r.Seed(node)
		r.Pass(2 * quarantine)
		if d := cmp.Diff([]string{"a"}, names(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestTooManyEnded(t *testing.T) {
	var seed []api.Object
	for i := range 6 {
		p := pod(fmt.Sprint("p", i), "n", []corev1.PodPhase{corev1.PodSucceeded, corev1.PodFailed}[i%2])
		p.CreationTimestamp.Time = metav1.Unix(int64(1000+i), 0).Time
		seed = append(seed, p)
	}
	seed = append(seed, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, pod("runs", "n", corev1.PodRunning))
	run(t, 3, seed, func(r *test.Rig) {
		if d := cmp.Diff([]string{"p3", "p4", "p5", "runs"}, names(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestNeverScheduled(t *testing.T) {
	p := pod("a", "", corev1.PodPending)
	at := metav1.Now()
	p.DeletionTimestamp, p.Finalizers = &at, []string{"example.com/look"}
	grace := int64(30)
	p.DeletionGracePeriodSeconds = &grace
	run(t, threshold, []api.Object{p}, func(r *test.Rig) {
		if g := test.Get[*corev1.Pod](r, "ns", "a").DeletionGracePeriodSeconds; g == nil || *g != 0 {
			t.Errorf("grace period is %v", g)
		}
	})
}
