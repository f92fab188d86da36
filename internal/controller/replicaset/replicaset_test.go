package replicaset

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func set(replicas int32) *appsv1.ReplicaSet {
	labels := map[string]string{"app": "web"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "rs"},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
		},
	}
}

func parts(d controller.Deps) []controller.Part {
	return []controller.Part{New(d), NewForReplicationControllers(d)}
}

func TestReplicaSet(t *testing.T) {
	orphan := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "orphan", Labels: map[string]string{"app": "web"}}}
	test.Run(t, parts, []api.Object{set(3), orphan}, func(r *test.Rig) {
		pods := test.List[*corev1.Pod](r)
		if len(pods) != 3 || metav1.GetControllerOf(test.Get[*corev1.Pod](r, "ns", "orphan")) == nil {
			t.Fatalf("%d pods, orphan adopted: %v", len(pods), metav1.GetControllerOf(pods[0]))
		}
		r.Ready(test.All)
		rs := test.Get[*appsv1.ReplicaSet](r, "ns", "web")
		want := appsv1.ReplicaSetStatus{Replicas: 3, FullyLabeledReplicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, ObservedGeneration: 1}
		if d := cmp.Diff(want, rs.Status); d != "" {
			t.Error(d)
		}
		r.OK(client.For[*corev1.Pod](r.Fake).Delete(r.Ctx, "ns", pods[1].Name, metav1.DeleteOptions{}))
		test.Change(r, "ns", "orphan", func(p *corev1.Pod) { p.Labels = nil })
		if n := len(test.List[*corev1.Pod](r)); n != 4 {
			t.Errorf("%d pods after one was deleted and one let go, want 3 + 1", n)
		}
		test.Change(r, "ns", "web", func(rs *appsv1.ReplicaSet) { *rs.Spec.Replicas = 1 })
		if n := len(test.List[*corev1.Pod](r)); n != 2 {
			t.Errorf("%d pods after scaling down, want 1 + 1", n)
		}
	})
}

func TestFailure(t *testing.T) {
	test.Run(t, parts, nil, func(r *test.Rig) {
		r.Intercept(func(verb string, k *api.Kind, _ api.Object) error {
			if verb == "create" && k.Kind == "Pod" {
				return errors.New("quota")
			}
			return nil
		})
		r.Seed(set(2))
		r.Settle()
		c := test.Get[*appsv1.ReplicaSet](r, "ns", "web").Status.Conditions
		if len(c) != 1 || c[0].Reason != "FailedCreate" {
			t.Fatalf("conditions %+v", c)
		}
		r.Intercept(nil)
		r.Pass(time.Minute)
		if n := len(test.List[*corev1.Pod](r)); n != 2 {
			t.Errorf("%d pods, want 2", n)
		}
		if c := test.Get[*appsv1.ReplicaSet](r, "ns", "web").Status.Conditions; len(c) != 0 {
			t.Errorf("conditions %+v", c)
		}
	})
}

func TestRank(t *testing.T) {
	now := time.Now()
	pod := func(name, node string, change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
		p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: p.CreationTimestamp}}
		change(p)
		return p
	}
	pods := []*corev1.Pod{
		pod("plain", "n1", func(*corev1.Pod) {}),
		pod("crowded", "n2", func(*corev1.Pod) {}),
		pod("cheap", "n2", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "-5"} }),
		pod("unready", "n1", func(p *corev1.Pod) { p.Status.Conditions = nil }),
		pod("pending", "n2", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
		pod("unassigned", "", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }),
		pod("young", "n1", func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now) }),
	}
	var got []string
	for _, p := range rank(pods, pods, now) {
		got = append(got, p.Name)
	}
	if d := cmp.Diff([]string{"unassigned", "pending", "unready", "cheap", "young", "plain", "crowded"}, got); d != "" {
		t.Error(d)
	}
}

func TestReplicationController(t *testing.T) {
	labels, n := map[string]string{"app": "old"}, int32(2)
	rc := &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "old"}, Spec: corev1.ReplicationControllerSpec{
		Replicas: &n, Selector: labels, Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}},
	}}
	orphan := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "orphan", Labels: labels}}
	test.Run(t, parts, []api.Object{rc, orphan}, func(r *test.Rig) {
		ref := metav1.GetControllerOf(test.Get[*corev1.Pod](r, "ns", "orphan"))
		if len(test.List[*corev1.Pod](r)) != 2 || ref == nil || ref.Kind != "ReplicationController" {
			t.Fatalf("%d pods, the orphan belongs to %v", len(test.List[*corev1.Pod](r)), ref)
		}
		r.Ready(test.All)
		want := corev1.ReplicationControllerStatus{Replicas: 2, FullyLabeledReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2, ObservedGeneration: 1}
		if d := cmp.Diff(want, test.Get[*corev1.ReplicationController](r, "ns", "old").Status); d != "" {
			t.Error(d)
		}
		r.Intercept(func(verb string, k *api.Kind, _ api.Object) error {
			if verb == "create" && k.Kind == "Pod" {
				return errors.New("quota")
			}
			return nil
		})
		test.Change(r, "ns", "old", func(rc *corev1.ReplicationController) { *rc.Spec.Replicas = 3 })
		c := test.Get[*corev1.ReplicationController](r, "ns", "old").Status.Conditions
		if len(c) != 1 || c[0].Type != corev1.ReplicationControllerReplicaFailure {
			t.Fatalf("conditions %+v", c)
		}
		test.Change(r, "ns", "old", func(rc *corev1.ReplicationController) { *rc.Spec.Replicas = 1 })
		rc := test.Get[*corev1.ReplicationController](r, "ns", "old")
		if len(test.List[*corev1.Pod](r)) != 1 || len(rc.Status.Conditions) != 0 {
			t.Errorf("%d pods, status %+v", len(test.List[*corev1.Pod](r)), rc.Status)
		}
	})
}
