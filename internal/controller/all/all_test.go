package all_test

import (
	"net/netip"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	"github.com/dhow-project/dhow/internal/controller/all"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

// TestNamespaceLives makes a namespace with an application in it and deletes it: at the end nothing is left.
func TestNamespaceLives(t *testing.T) {
	parts := func(d controller.Deps) []controller.Part {
		d.RootCA = []byte("CA")
		d.ClusterCIDRs = []netip.Prefix{netip.MustParsePrefix("10.42.0.0/16")}
		return all.Controllers(d)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}}}
	replicas, half := int32(3), intstr.FromInt32(1)
	labels := map[string]string{"app": "web"}
	seed := []api.Object{
		ns,
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web"}, Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &half, MaxUnavailable: &half}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}},
		}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "web"}, Spec: corev1.ServiceSpec{ClusterIP: "10.43.0.9", Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}}},
	}
	test.Run(t, parts, seed, func(r *test.Rig) {
		test.Get[*corev1.ServiceAccount](r, "app", "default")
		if m := test.Get[*corev1.ConfigMap](r, "app", "kube-root-ca.crt"); m.Data["ca.crt"] != "CA" {
			t.Errorf("root CA is %v", m.Data)
		}
		a, b := test.Get[*corev1.Node](r, "", "n1").Spec.PodCIDR, test.Get[*corev1.Node](r, "", "n2").Spec.PodCIDR
		if a == b || !netip.MustParsePrefix(a).IsValid() {
			t.Errorf("nodes have %q and %q", a, b)
		}
		r.Ready(test.All)
		d := test.Get[*appsv1.Deployment](r, "app", "web")
		if d.Status.AvailableReplicas != 3 || len(test.List[*discoveryv1.EndpointSlice](r)) != 1 {
			t.Errorf("status %+v", d.Status)
		}
		// Deleting the deployment takes its sets and pods along.
		r.OK(client.For[*appsv1.Deployment](r.Fake).Delete(r.Ctx, "app", "web", metav1.DeleteOptions{}))
		r.Settle()
		if n, m := len(test.List[*corev1.Pod](r)), len(test.List[*appsv1.ReplicaSet](r)); n+m != 0 {
			t.Errorf("%d pods and %d sets outlive their deployment", n, m)
		}
		r.OK(client.For[*corev1.Namespace](r.Fake).Delete(r.Ctx, "", "app", metav1.DeleteOptions{}))
		r.Pass(time.Minute)
		left := len(test.List[*corev1.Namespace](r)) + len(test.List[*corev1.ConfigMap](r)) + len(test.List[*corev1.ServiceAccount](r)) + len(test.List[*discoveryv1.EndpointSlice](r)) + len(test.List[*corev1.Service](r))
		if left != 0 {
			t.Errorf("%d objects outlive their namespace", left)
		}
	})
}
