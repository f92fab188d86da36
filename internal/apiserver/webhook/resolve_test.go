package webhook_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
)

func TestEndpoints(t *testing.T) {
	r := readertest.New(
		readertest.Kind[corev1.Service]("", "v1", "Service", "services", true),
		readertest.Kind[discoveryv1.EndpointSlice]("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true))
	at := metav1.ObjectMeta{Namespace: "ns", Name: "hook", Labels: map[string]string{discoveryv1.LabelServiceName: "hook"}}
	port, other, no := int32(8443), int32(9), false
	name, otherName := "tls", "metrics"
	r.Put(
		&corev1.Service{ObjectMeta: at, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "tls", Port: 443}, {Name: "metrics", Port: 9}, {Name: "quic", Port: 444, Protocol: corev1.ProtocolUDP}}}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "idle"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "away"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "hooks.example"}},
		&discoveryv1.EndpointSlice{ObjectMeta: at,
			Ports: []discoveryv1.EndpointPort{{Name: &otherName, Port: &other}, {Name: &name, Port: &port}},
			Endpoints: []discoveryv1.Endpoint{
				{Addresses: []string{"10.0.0.8"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}},
				{Addresses: []string{"10.0.0.9"}},
			}})
	for _, tc := range []struct {
		name string
		port int32
		want string // an address, or the error
	}{
		{"hook", 443, "10.0.0.9:8443"},
		{"hook", 9, "10.0.0.9:9"},
		{"hook", 80, `no service port 80 found for service "hook"`},
		{"hook", 444, `no service port 444 found for service "hook"`},
		{"idle", 443, `no endpoints available for service "idle"`},
		{"away", 8443, "hooks.example:8443"},
		{"none", 443, `service "none" not found`},
	} {
		got, err := webhook.Endpoints(r).Resolve("ns", tc.name, tc.port)
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s:%d: %q, want %q", tc.name, tc.port, got, tc.want)
		}
	}
}
