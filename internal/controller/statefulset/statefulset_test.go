package statefulset

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

func web(replicas int32, change func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	labels, limit := map[string]string{"app": "web"}, int32(10)
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "s"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, ServiceName: "svc", RevisionHistoryLimit: &limit,
			PodManagementPolicy: appsv1.OrderedReadyPodManagement, UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}}},
		},
	}
	change(s)
	return s
}

func parallel(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement }

func run(t *testing.T, s *appsv1.StatefulSet, f func(*test.Rig)) {
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{s}, f)
}

// pods are "name image", with a mark for what is not ready.
func pods(r *test.Rig) []string {
	out := []string{}
	for _, p := range test.List[*corev1.Pod](r) {
		s := p.Name + " " + p.Spec.Containers[0].Image
		if !controller.PodReady(p) {
			s += " -"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func want(r *test.Rig, what string, want ...string) {
	r.Helper()
	if d := cmp.Diff(append([]string{}, want...), pods(r)); d != "" {
		r.Errorf("%s: %s", what, d)
	}
}

func change(r *test.Rig, f func(*appsv1.StatefulSet)) { test.Change(r, "ns", "web", f) }

func scale(r *test.Rig, n int32) {
	change(r, func(s *appsv1.StatefulSet) { s.Spec.Replicas = &n })
}

func image(r *test.Rig, name string) {
	change(r, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Image = name })
}

func unready(r *test.Rig, name string) { phase(r, name, corev1.PodRunning) }

func phase(r *test.Rig, name string, phase corev1.PodPhase) {
	_, err := client.MutateStatus(r.Ctx, client.For[*corev1.Pod](r.Fake), "ns", name, func(p *corev1.Pod) error {
		p.Status = corev1.PodStatus{Phase: phase}
		return nil
	})
	r.OK(err)
	r.Settle()
}

func remove(r *test.Rig, name string) {
	r.OK(client.For[*corev1.Pod](r.Fake).Delete(r.Ctx, "ns", name, metav1.DeleteOptions{}))
	r.Settle()
}

// roll makes pods ready until nothing changes.
func roll(r *test.Rig) {
	for range 12 {
		r.Ready(test.All)
	}
}

func TestOrder(t *testing.T) {
	run(t, web(3, func(*appsv1.StatefulSet) {}), func(r *test.Rig) {
		want(r, "at first", "web-0 v1 -")
		r.Ready(test.All)
		want(r, "one is ready", "web-0 v1", "web-1 v1 -")
		roll(r)
		want(r, "all", "web-0 v1", "web-1 v1", "web-2 v1")
		p := test.Get[*corev1.Pod](r, "ns", "web-1")
		if p.Labels[appsv1.StatefulSetPodNameLabel] != "web-1" || p.Labels[appsv1.PodIndexLabel] != "1" || p.Spec.Hostname != "web-1" || p.Spec.Subdomain != "svc" {
			t.Errorf("identity: %v %+v", p.Labels, p.Spec)
		}
		s := test.Get[*appsv1.StatefulSet](r, "ns", "web").Status
		rev := p.Labels[appsv1.ControllerRevisionHashLabelKey]
		zero := int32(0)
		if d := cmp.Diff(appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, CurrentReplicas: 3, UpdatedReplicas: 3, CurrentRevision: rev, UpdateRevision: rev, CollisionCount: &zero}, s); d != "" {
			t.Error(d)
		}
		unready(r, "web-0")
		scale(r, 1)
		want(r, "scaling down waits for web-0", "web-0 v1 -", "web-1 v1", "web-2 v1")
		r.Ready(test.All)
		want(r, "it is well", "web-0 v1")
		remove(r, "web-0")
		want(r, "deleted", "web-0 v1 -")
		scale(r, 3)
		want(r, "scaling up waits for web-0", "web-0 v1 -")
	})
}

func TestSickestGoes(t *testing.T) {
	run(t, web(3, func(*appsv1.StatefulSet) {}), func(r *test.Rig) {
		roll(r)
		unready(r, "web-2")
		scale(r, 0)
		want(r, "the only sick pod does not hold up itself")
	})
}

func TestParallel(t *testing.T) {
	run(t, web(3, parallel), func(r *test.Rig) {
		want(r, "at once", "web-0 v1 -", "web-1 v1 -", "web-2 v1 -")
		scale(r, 1)
		want(r, "down at once", "web-0 v1 -")
	})
}

func TestRolling(t *testing.T) {
	run(t, web(3, func(*appsv1.StatefulSet) {}), func(r *test.Rig) {
		roll(r)
		old := test.Get[*appsv1.StatefulSet](r, "ns", "web").Status.CurrentRevision
		image(r, "v2")
		want(r, "from the top", "web-0 v1", "web-1 v1", "web-2 v2 -")
		s := test.Get[*appsv1.StatefulSet](r, "ns", "web").Status
		if s.CurrentRevision != old || s.UpdateRevision == old || s.UpdatedReplicas != 1 || s.CurrentReplicas != 2 {
			t.Errorf("status %+v", s)
		}
		r.Ready(test.All)
		want(r, "next", "web-0 v1", "web-1 v2 -", "web-2 v2")
		roll(r)
		want(r, "done", "web-0 v2", "web-1 v2", "web-2 v2")
		if s = test.Get[*appsv1.StatefulSet](r, "ns", "web").Status; s.CurrentRevision != s.UpdateRevision || s.CurrentReplicas != 3 {
			t.Errorf("status %+v", s)
		}
		image(r, "v1")
		roll(r)
		want(r, "back", "web-0 v1", "web-1 v1", "web-2 v1")
		revs := test.List[*appsv1.ControllerRevision](r)
		if got := test.Get[*appsv1.StatefulSet](r, "ns", "web").Status.CurrentRevision; got != old || len(revs) != 2 {
			t.Errorf("back at %s, not %s; %d revisions", got, old, len(revs))
		}
		if rev := test.Get[*appsv1.ControllerRevision](r, "ns", old); rev.Revision != 3 {
			t.Errorf("revision is %d", rev.Revision)
		}
	})
}

func TestPartition(t *testing.T) {
	partition := func(n int32) func(*appsv1.StatefulSet) {
		return func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &n}
		}
	}
	run(t, web(3, partition(3)), func(r *test.Rig) {
		roll(r)
		image(r, "v2")
		want(r, "none", "web-0 v1", "web-1 v1", "web-2 v1")
		change(r, partition(2))
		roll(r)
		want(r, "canary", "web-0 v1", "web-1 v1", "web-2 v2")
		remove(r, "web-0")
		remove(r, "web-2")
		roll(r)
		want(r, "recreated as they were", "web-0 v1", "web-1 v1", "web-2 v2")
		change(r, partition(0))
		roll(r)
		want(r, "all", "web-0 v2", "web-1 v2", "web-2 v2")
	})
}

func TestOnDelete(t *testing.T) {
	run(t, web(2, func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType }), func(r *test.Rig) {
		roll(r)
		image(r, "v2")
		roll(r)
		want(r, "nothing", "web-0 v1", "web-1 v1")
		remove(r, "web-0")
		want(r, "deleted", "web-0 v2 -", "web-1 v1")
	})
}

func TestMaxUnavailable(t *testing.T) {
	two := intstr.FromInt32(2)
	run(t, web(4, func(s *appsv1.StatefulSet) {
		parallel(s)
		s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: &two}
	}), func(r *test.Rig) {
		roll(r)
		image(r, "v2")
		want(r, "two", "web-0 v1", "web-1 v1", "web-2 v2 -", "web-3 v2 -")
		r.Ready(func(p *corev1.Pod) bool { return p.Name == "web-3" })
		want(r, "one more", "web-0 v1", "web-1 v2 -", "web-2 v2 -", "web-3 v2")
	})
}

func TestMinReady(t *testing.T) {
	run(t, web(2, func(s *appsv1.StatefulSet) { s.Spec.MinReadySeconds = 30 }), func(r *test.Rig) {
		r.Ready(test.All)
		want(r, "not yet", "web-0 v1")
		if s := test.Get[*appsv1.StatefulSet](r, "ns", "web").Status; s.ReadyReplicas != 1 || s.AvailableReplicas != 0 {
			t.Errorf("status %+v", s)
		}
		r.Pass(30 * time.Second)
		want(r, "now", "web-0 v1", "web-1 v1 -")
	})
}

func TestFailedPods(t *testing.T) {
	run(t, web(1, func(*appsv1.StatefulSet) {}), func(r *test.Rig) {
		for i := range 3 {
			before := test.Get[*corev1.Pod](r, "ns", "web-0").UID
			phase(r, "web-0", []corev1.PodPhase{corev1.PodFailed, corev1.PodSucceeded}[i%2])
			r.Pass(5 * time.Second)
			if test.Get[*corev1.Pod](r, "ns", "web-0").UID == before {
				t.Fatal("not recreated")
			}
		}
		phase(r, "web-0", corev1.PodFailed)
		before := test.Get[*corev1.Pod](r, "ns", "web-0").UID
		phase(r, "web-0", corev1.PodFailed)
		if test.Get[*corev1.Pod](r, "ns", "web-0").UID != before {
			t.Error("no back-off")
		}
	})
}

func TestOrdinals(t *testing.T) {
	run(t, web(2, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: 4} }), func(r *test.Rig) {
		roll(r)
		want(r, "from four", "web-4 v1", "web-5 v1")
		change(r, func(s *appsv1.StatefulSet) { s.Spec.Ordinals = nil })
		roll(r)
		want(r, "from zero", "web-0 v1", "web-1 v1")
	})
}

func TestAdoption(t *testing.T) {
	run(t, web(1, func(*appsv1.StatefulSet) {}), func(r *test.Rig) {
		roll(r)
		uid := test.Get[*corev1.Pod](r, "ns", "web-0").UID
		test.Change(r, "ns", "web-0", func(p *corev1.Pod) { p.Labels["app"] = "other" })
		if p := test.Get[*corev1.Pod](r, "ns", "web-0"); metav1.GetControllerOf(p) != nil {
			t.Error("not released")
		}
		test.Change(r, "ns", "web-0", func(p *corev1.Pod) { p.Labels["app"] = "web"; delete(p.Labels, appsv1.StatefulSetPodNameLabel) })
		p := test.Get[*corev1.Pod](r, "ns", "web-0")
		if metav1.GetControllerOf(p) == nil || p.UID != uid || p.Labels[appsv1.StatefulSetPodNameLabel] != "web-0" {
			t.Errorf("not adopted: %+v", p.ObjectMeta)
		}
		test.Change(r, "ns", "web-0", func(p *corev1.Pod) { p.Labels["app"] = "other" })
		remove(r, "web-0")
		if p := test.Get[*corev1.Pod](r, "ns", "web-0"); p.UID == uid || metav1.GetControllerOf(p) == nil {
			t.Error("the name became free, but no pod was made")
		}
	})
}

func TestHistory(t *testing.T) {
	one := int32(1)
	run(t, web(1, func(s *appsv1.StatefulSet) { s.Spec.RevisionHistoryLimit = &one }), func(r *test.Rig) {
		for i := range 5 {
			image(r, fmt.Sprint("v", i))
			roll(r)
		}
		if n := len(test.List[*appsv1.ControllerRevision](r)); n != 2 {
			t.Errorf("%d revisions, want the current and one more", n)
		}
	})
}

func TestCollision(t *testing.T) {
	s := web(1, func(*appsv1.StatefulSet) {})
	zero := int32(0)
	other := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-" + controller.HashTemplate(&s.Spec.Template, &zero)}}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{s, other}, func(r *test.Rig) {
		st := test.Get[*appsv1.StatefulSet](r, "ns", "web").Status
		if st.CollisionCount == nil || *st.CollisionCount != 1 || st.UpdateRevision == other.Name {
			t.Errorf("status %+v", st)
		}
		want(r, "still", "web-0 v1 -")
	})
}
