package aggregate

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

func TestReachable(t *testing.T) {
	port := int32(443)
	ref := &apiregistrationv1.ServiceReference{Namespace: "n", Name: "s", Port: &port}
	svc := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}}
	name, no := "https", false
	slice := func(ready *bool) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: &name}}, Endpoints: []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: ready}}}}
	}
	other := svc.DeepCopy()
	other.Spec.Ports[0].Port = 80
	external := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}}
	for _, tc := range []struct {
		svc    *corev1.Service
		slices []*discoveryv1.EndpointSlice
		want   string
	}{
		{nil, nil, `ServiceNotFound: service/s in "n" is not present`},
		{other, nil, `ServicePortError: service/s in "n" is not listening on port 443`},
		{svc, nil, `EndpointsNotFound: cannot find endpointslices for service/s in "n"`},
		{svc, []*discoveryv1.EndpointSlice{slice(&no)}, `MissingEndpoints: endpointslices for service/s in "n" have no addresses with port name "https"`},
		{svc, []*discoveryv1.EndpointSlice{slice(nil)}, ""},
		{external, nil, ""},
	} {
		got := ""
		if c := reachable(ref, tc.svc, tc.slices); c != nil {
			got = c.Reason + ": " + c.Message
		}
		if got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestPlanLocal(t *testing.T) {
	want := map[string]*apiregistrationv1.APIService{"a": {ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{managed: "true"}}, Spec: apiregistrationv1.APIServiceSpec{VersionPriority: 2}}}
	mine := func(name, mark string, priority int32) *apiregistrationv1.APIService {
		return &apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{managed: mark}}, Spec: apiregistrationv1.APIServiceSpec{VersionPriority: priority}}
	}
	for _, tc := range []struct {
		have                   []*apiregistrationv1.APIService
		create, update, remove int
	}{
		{nil, 1, 0, 0},
		{[]*apiregistrationv1.APIService{mine("a", "true", 2)}, 0, 0, 0},
		{[]*apiregistrationv1.APIService{mine("a", "true", 1)}, 0, 1, 0},
		{[]*apiregistrationv1.APIService{mine("a", "", 1)}, 0, 0, 0}, // somebody else's
		{[]*apiregistrationv1.APIService{mine("a", "true", 2), mine("b", "onstart", 1), mine("c", "", 1)}, 0, 0, 1},
	} {
		if c := planLocal(want, tc.have); len(c.create) != tc.create || len(c.update) != tc.update || len(c.remove) != tc.remove {
			t.Errorf("%v: %+v", tc.have, c)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "example.com/x y": "example.com%2Fx%20y", "100%": "100%25", "é": "%C3%A9"} {
		if got := escape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
