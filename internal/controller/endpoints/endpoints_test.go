package endpoints

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "s"},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.1", Selector: map[string]string{"app": "web"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP}},
		},
	}
}

func pod(i int, port int32) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("p", i), Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: port, Protocol: corev1.ProtocolTCP}}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)},
	}
}

func counts(r *test.Rig) map[string]int {
	out := map[string]int{}
	for _, s := range test.List[*discoveryv1.EndpointSlice](r) {
		port := int32(0)
		if len(s.Ports) > 0 {
			port = *s.Ports[0].Port
		}
		for _, e := range s.Endpoints {
			out[fmt.Sprintf("%d ready=%v", port, *e.Conditions.Ready)]++
		}
		out["slices"]++
	}
	return out
}

func parts(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }

func TestSlices(t *testing.T) {
	seed := []api.Object{service()}
	for i := range 120 {
		seed = append(seed, pod(i, 8080))
	}
	seed = append(seed, pod(500, 9090))
	test.Run(t, parts, seed, func(r *test.Rig) {
		if d := cmp.Diff(map[string]int{"slices": 3, "8080 ready=false": 120, "9090 ready=false": 1}, counts(r)); d != "" {
			t.Error(d)
		}
		r.Ready(test.All)
		if d := cmp.Diff(map[string]int{"slices": 3, "8080 ready=true": 120, "9090 ready=true": 1}, counts(r)); d != "" {
			t.Error(d)
		}
		ep := test.Get[*corev1.Endpoints](r, "ns", "web")
		if len(ep.Subsets) != 2 || len(ep.Subsets[0].Addresses)+len(ep.Subsets[1].Addresses) != 121 {
			t.Errorf("endpoints have %d subsets", len(ep.Subsets))
		}
		// One pod leaves: only its slice changes.
		before := map[string]string{}
		for _, s := range test.List[*discoveryv1.EndpointSlice](r) {
			before[s.Name] = s.ResourceVersion
		}
		test.Change(r, "ns", "p7", func(p *corev1.Pod) { p.Labels = nil })
		changed := 0
		for _, s := range test.List[*discoveryv1.EndpointSlice](r) {
			if before[s.Name] != s.ResourceVersion {
				changed++
			}
		}
		if changed != 1 || counts(r)["8080 ready=true"] != 119 {
			t.Errorf("%d slices changed, %v", changed, counts(r))
		}
	})
}

func TestMirror(t *testing.T) {
	svc := service()
	svc.Spec.Selector = nil
	ep := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}, Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "192.0.2.1"}, {IP: "2001:db8::1"}}, Ports: []corev1.EndpointPort{{Port: 443, Protocol: corev1.ProtocolTCP}},
	}}}
	test.Run(t, parts, []api.Object{svc, ep}, func(r *test.Rig) {
		if d := cmp.Diff(map[string]int{"slices": 2, "443 ready=true": 2}, counts(r)); d != "" {
			t.Error(d)
		}
		test.Change(r, "ns", "web", func(ep *corev1.Endpoints) { ep.Subsets = nil })
		if d := cmp.Diff(map[string]int{}, counts(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestNobody(t *testing.T) {
	test.Run(t, parts, []api.Object{service()}, func(r *test.Rig) {
		if d := cmp.Diff(map[string]int{"slices": 1}, counts(r)); d != "" {
			t.Error(d)
		}
	})
}

// TestLeavingPod: an Endpoints object with a subset of nobody is refused.
func TestLeavingPod(t *testing.T) {
	leaving := pod(1, 8080)
	leaving.Spec.NodeName = "n"
	test.Run(t, parts, []api.Object{service(), leaving}, func(r *test.Rig) {
		r.OK(client.For[*corev1.Pod](r.Fake).Delete(r.Ctx, "ns", leaving.Name, metav1.DeleteOptions{}))
		r.Settle()
		if s := test.Get[*corev1.Endpoints](r, "ns", "web").Subsets; len(s) != 0 {
			t.Errorf("subsets %+v", s)
		}
		if d := cmp.Diff(map[string]int{"slices": 1, "8080 ready=false": 1}, counts(r)); d != "" {
			t.Error(d)
		}
	})
}
