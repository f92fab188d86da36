package deployment

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func web(replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	deadline, limit, quarter := int32(600), int32(2), intstr.FromString("25%")
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "d", Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, ProgressDeadlineSeconds: &deadline, RevisionHistoryLimit: &limit,
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &quarter, MaxUnavailable: &quarter}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}}},
		},
	}
}

// kubelet stands in for replica sets and nodes: every set gets its pods at once.
func kubelet(r *test.Rig) {
	for range 50 {
		busy := false
		for _, rs := range test.List[*appsv1.ReplicaSet](r) {
			n := *rs.Spec.Replicas
			if rs.Status.AvailableReplicas == n && rs.Status.ObservedGeneration == rs.Generation {
				continue
			}
			busy = true
			rs = rs.DeepCopy()
			rs.Status = appsv1.ReplicaSetStatus{Replicas: n, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: rs.Generation}
			_, err := r.Update(r.Ctx, r.Registry().Kind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind()), rs, "status", metav1.UpdateOptions{})
			r.OK(err)
		}
		r.Settle()
		if !busy {
			return
		}
	}
	r.Fatal("the rollout never ends")
}

func parts(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }

func sizes(r *test.Rig) map[string]int32 {
	out := map[string]int32{}
	for _, rs := range test.List[*appsv1.ReplicaSet](r) {
		out[rs.Spec.Template.Spec.Containers[0].Image+" r"+rs.Annotations[revisionAnnotation]] = *rs.Spec.Replicas
	}
	return out
}

func progressing(r *test.Rig) string {
	d := test.Get[*appsv1.Deployment](r, "ns", "web")
	c := condition(&d.Status, appsv1.DeploymentProgressing)
	return string(c.Status) + " " + c.Reason
}

func TestRollout(t *testing.T) {
	test.Run(t, parts, []api.Object{web(4)}, func(r *test.Rig) {
		check := func(want map[string]int32, cond string) {
			t.Helper()
			if d := cmp.Diff(want, sizes(r)); d != "" {
				t.Error(d)
			}
			if got := progressing(r); got != cond {
				t.Errorf("Progressing is %s, want %s", got, cond)
			}
		}
		image := func(v string) {
			test.Change(r, "ns", "web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = v })
		}
		check(map[string]int32{"v1 r1": 4}, "True NewReplicaSetCreated")
		kubelet(r)
		check(map[string]int32{"v1 r1": 4}, "True NewReplicaSetAvailable")
		image("v2")
		check(map[string]int32{"v1 r1": 3, "v2 r2": 2}, "True NewReplicaSetCreated")
		test.Change(r, "ns", "web", func(d *appsv1.Deployment) { *d.Spec.Replicas = 8 })
		check(map[string]int32{"v1 r1": 6, "v2 r2": 4}, progressing(r)) // in proportion
		kubelet(r)
		check(map[string]int32{"v1 r1": 0, "v2 r2": 8}, "True NewReplicaSetAvailable")
		image("v1") // as kubectl rollout undo does
		kubelet(r)
		check(map[string]int32{"v1 r3": 8, "v2 r2": 0}, "True NewReplicaSetAvailable")
		image("v3")
		kubelet(r)
		image("v4")
		kubelet(r)
		check(map[string]int32{"v1 r3": 0, "v3 r4": 0, "v4 r5": 8}, "True NewReplicaSetAvailable") // v2 is beyond the limit
		d := test.Get[*appsv1.Deployment](r, "ns", "web")
		if d.Annotations[revisionAnnotation] != "5" || d.Status.UpdatedReplicas != 8 || d.Status.ObservedGeneration != d.Generation {
			t.Errorf("revision %s, status %+v", d.Annotations[revisionAnnotation], d.Status)
		}
	})
}

func TestDeadline(t *testing.T) {
	test.Run(t, parts, []api.Object{web(2)}, func(r *test.Rig) {
		r.Pass(601 * time.Second)
		r.Settle()
		if got := progressing(r); got != "False ProgressDeadlineExceeded" {
			t.Errorf("Progressing is %s", got)
		}
		kubelet(r)
		if got := progressing(r); got != "True NewReplicaSetAvailable" {
			t.Errorf("Progressing is %s", got)
		}
	})
}

func TestPauseAndRecreate(t *testing.T) {
	d := web(3)
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	test.Run(t, parts, []api.Object{d}, func(r *test.Rig) {
		kubelet(r)
		old := test.List[*appsv1.ReplicaSet](r)[0]
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", OwnerReferences: []metav1.OwnerReference{controller.RefTo(old, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}}}
		r.Seed(pod)
		test.Change(r, "ns", "web", func(d *appsv1.Deployment) { d.Spec.Paused = true; d.Spec.Template.Spec.Containers[0].Image = "v2" })
		if got := progressing(r); got != "Unknown DeploymentPaused" || len(sizes(r)) != 1 {
			t.Errorf("Progressing is %s, sets %v", got, sizes(r))
		}
		test.Change(r, "ns", "web", func(d *appsv1.Deployment) { d.Spec.Paused = false })
		kubelet(r)
		if d := cmp.Diff(map[string]int32{"v1 r1": 0}, sizes(r)); d != "" {
			t.Errorf("while an old pod runs: %s", d)
		}
		r.OK(r.Delete(r.Ctx, r.Registry().Kind(corev1.SchemeGroupVersion.WithKind("Pod").GroupKind()), "ns", "p", metav1.DeleteOptions{}))
		r.Settle()
		if d := cmp.Diff(map[string]int32{"v1 r1": 0, "v2 r2": 3}, sizes(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestCollision(t *testing.T) {
	d := web(1)
	other := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: newSet(d, sets{}, 1).Name}}
	zero := int32(0)
	other.Spec.Replicas = &zero
	test.Run(t, parts, []api.Object{other, d}, func(r *test.Rig) {
		d := test.Get[*appsv1.Deployment](r, "ns", "web")
		l := test.List[*appsv1.ReplicaSet](r)
		if len(l) != 2 || d.Status.CollisionCount == nil || *d.Status.CollisionCount != 1 || !strings.HasPrefix(l[0].Name, "web-") {
			t.Errorf("%d sets, collisions %v", len(l), d.Status.CollisionCount)
		}
	})
}
