package daemonset

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func daemon(change func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
	labels, none := map[string]string{"app": "d"}, intstr.FromInt32(0)
	ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "d"}, Spec: appsv1.DaemonSetSpec{
		Selector:       &metav1.LabelSelector{MatchLabels: labels},
		UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &none, MaxSurge: &none}},
		Template:       corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}}},
	}}
	change(ds)
	return ds
}

func run(t *testing.T, nodes int, ds *appsv1.DaemonSet, f func(*test.Rig)) {
	seed := []api.Object{ds}
	for i := range nodes {
		seed = append(seed, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i)}})
	}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, f)
}

// pods are "node image", with a mark for what is not ready.
func pods(r *test.Rig, want ...string) {
	r.Helper()
	got := []string{}
	for _, p := range test.List[*corev1.Pod](r) {
		s := node(p) + " " + p.Spec.Containers[0].Image
		if !controller.PodReady(p) {
			s += " -"
		}
		got = append(got, s)
	}
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		r.Error(d)
	}
}

func image(r *test.Rig, name string) {
	test.Change(r, "ns", "d", func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.Containers[0].Image = name })
}

func TestSurge(t *testing.T) {
	one := intstr.FromInt32(1)
	run(t, 2, daemon(func(ds *appsv1.DaemonSet) { ds.Spec.UpdateStrategy.RollingUpdate.MaxSurge = &one }), func(r *test.Rig) {
		r.Ready(test.All)
		image(r, "v2")
		pods(r, "n0 v1", "n0 v2 -", "n1 v1")
		if s := test.Get[*appsv1.DaemonSet](r, "ns", "d").Status; s.NumberAvailable != 2 || s.UpdatedNumberScheduled != 0 {
			t.Errorf("status %+v", s)
		}
		r.Ready(test.All)
		pods(r, "n0 v2", "n1 v1", "n1 v2 -")
		r.Ready(test.All)
		pods(r, "n0 v2", "n1 v2")
		if s := test.Get[*appsv1.DaemonSet](r, "ns", "d").Status; s.NumberAvailable != 2 || s.UpdatedNumberScheduled != 2 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestUnavailable(t *testing.T) {
	half := intstr.FromString("50%")
	run(t, 4, daemon(func(ds *appsv1.DaemonSet) { ds.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = &half }), func(r *test.Rig) {
		r.Ready(test.All)
		image(r, "v2")
		pods(r, "n0 v2 -", "n1 v2 -", "n2 v1", "n3 v1")
		r.Ready(test.All)
		r.Ready(test.All)
		pods(r, "n0 v2", "n1 v2", "n2 v2", "n3 v2")
		image(r, "v1")
		if l := test.List[*appsv1.ControllerRevision](r); len(l) != 2 {
			t.Errorf("%d revisions after a rollback", len(l))
		}
	})
}

func TestFailedPod(t *testing.T) {
	run(t, 1, daemon(func(*appsv1.DaemonSet) {}), func(r *test.Rig) {
		fail := func() (replaced bool) {
			p := test.List[*corev1.Pod](r)[0]
			_, err := client.MutateStatus(r.Ctx, client.For[*corev1.Pod](r.Fake), "ns", p.Name, func(p *corev1.Pod) error { p.Status.Phase = corev1.PodFailed; return nil })
			r.OK(err)
			r.Settle()
			return test.List[*corev1.Pod](r)[0].UID != p.UID
		}
		for range 3 {
			if !fail() {
				r.Pass(2 * time.Second)
			}
		}
		if first, second := fail(), fail(); first && second {
			t.Error("no back-off")
		}
		r.Pass(time.Minute)
		if p := test.List[*corev1.Pod](r)[0]; p.Status.Phase == corev1.PodFailed {
			t.Error("never replaced")
		}
	})
}

func TestCollision(t *testing.T) {
	ds := daemon(func(*appsv1.DaemonSet) {})
	other := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "d-" + controller.HashTemplate(&ds.Spec.Template, nil)}}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{ds, other, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}}, func(r *test.Rig) {
		if n := test.Get[*appsv1.DaemonSet](r, "ns", "d").Status.CollisionCount; n == nil || *n != 1 {
			t.Errorf("%v collisions", n)
		}
		pods(r, "n v1 -")
	})
}
