package resourcequota

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func limits(name string, scope corev1.ResourceQuotaScope, hard map[corev1.ResourceName]string) *corev1.ResourceQuota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: list(hard)}}
	if scope != "" {
		q.Spec.Scopes = []corev1.ResourceQuotaScope{scope}
	}
	return q
}

func list(of map[corev1.ResourceName]string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for k, v := range of {
		out[k] = resource.MustParse(v)
	}
	return out
}

func pod(name, cpu string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c"}}}}
	if cpu != "" {
		p.Spec.Containers[0].Resources.Requests = list(map[corev1.ResourceName]string{"cpu": cpu})
	}
	return p
}

func used(r *test.Rig, name string, want map[corev1.ResourceName]string) {
	r.Helper()
	q := test.Get[*corev1.ResourceQuota](r, "ns", name)
	got := map[corev1.ResourceName]string{}
	for k, v := range q.Status.Used {
		got[k] = v.String()
	}
	if d := cmp.Diff(want, got); d != "" {
		r.Errorf("%s: %s", name, d)
	}
}

type amounts = map[corev1.ResourceName]string

func TestQuota(t *testing.T) {
	storage, gold := list(amounts{"storage": "5Gi"}), "gold"
	seed := []api.Object{
		pod("a", "200m"), pod("b", ""), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "done"}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "x"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 1}, {Port: 2}}}},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &gold, Resources: corev1.VolumeResourceRequirements{Requests: storage}}},
		limits("compute", "", amounts{"pods": "5", "count/pods": "9", "cpu": "1", "requests.cpu": "1", "limits.cpu": "1"}),
		limits("effort", corev1.ResourceQuotaScopeBestEffort, amounts{"pods": "5"}),
		limits("things", "", amounts{"services": "2", "services.nodeports": "2", "services.loadbalancers": "2", "secrets": "3", "count/replicasets.apps": "2", "resourcequotas": "9", "count/widgets.example.com": "4"}),
		limits("storage", "", amounts{"requests.storage": "1Ti", "persistentvolumeclaims": "4", "gold.storageclass.storage.k8s.io/requests.storage": "1Ti", "tin.storageclass.storage.k8s.io/persistentvolumeclaims": "1"}),
	}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, func(r *test.Rig) {
		used(r, "compute", amounts{"pods": "2", "count/pods": "3", "cpu": "200m", "requests.cpu": "200m", "limits.cpu": "0"})
		used(r, "effort", amounts{"pods": "1"})
		used(r, "things", amounts{"services": "1", "services.nodeports": "2", "services.loadbalancers": "1", "secrets": "0", "count/replicasets.apps": "0", "resourcequotas": "4", "count/widgets.example.com": "0"})
		used(r, "storage", amounts{"requests.storage": "5Gi", "persistentvolumeclaims": "1", "gold.storageclass.storage.k8s.io/requests.storage": "5Gi", "tin.storageclass.storage.k8s.io/persistentvolumeclaims": "0"})

		test.Change(r, "ns", "s", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
		r.OK(client.For[*corev1.Pod](r.Fake).Delete(r.Ctx, "ns", "b", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
		_, err := client.MutateStatus(r.Ctx, client.For[*corev1.Pod](r.Fake), "ns", "a", func(p *corev1.Pod) error { p.Status.Phase = corev1.PodFailed; return nil })
		r.OK(err)
		r.Settle()
		used(r, "compute", amounts{"pods": "0", "count/pods": "2", "cpu": "0", "requests.cpu": "0", "limits.cpu": "0"})
		used(r, "effort", amounts{"pods": "0"})
		test.Change(r, "ns", "things", func(q *corev1.ResourceQuota) { q.Spec.Hard = list(amounts{"services.nodeports": "1"}) })
		used(r, "things", amounts{"services.nodeports": "0"})
	})
}

// TestChargeIsGivenBack: admission charged a write that failed afterwards.
func TestChargeIsGivenBack(t *testing.T) {
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{limits("q", "", amounts{"pods": "5"})}, func(r *test.Rig) {
		_, err := client.MutateStatus(r.Ctx, client.For[*corev1.ResourceQuota](r.Fake), "ns", "q", func(q *corev1.ResourceQuota) error {
			q.Status.Used = list(amounts{"pods": "3"})
			return nil
		})
		r.OK(err)
		r.Settle()
		used(r, "q", amounts{"pods": "3"})
		r.Pass(later)
		used(r, "q", amounts{"pods": "0"})
	})
}

// TestLostNode: a pod that is never reported dead stops counting.
func TestLostNode(t *testing.T) {
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{pod("a", ""), limits("q", "", amounts{"pods": "5"})}, func(r *test.Rig) {
		r.OK(client.For[*corev1.Pod](r.Fake).Delete(r.Ctx, "ns", "a", metav1.DeleteOptions{}))
		r.Settle()
		used(r, "q", amounts{"pods": "1"})
		r.Pass(2 * time.Minute)
		used(r, "q", amounts{"pods": "0"})
	})
}
