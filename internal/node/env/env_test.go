package env

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "B": "two", "E": ""}
	lookup := func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
	for in, want := range map[string]string{
		"":                 "",
		"plain":            "plain",
		"$(A)":             "1",
		"x$(A)y$(B)z":      "x1ytwoz",
		"$$(A)":            "$(A)",
		"$$$(A)":           "$1",
		"$$$$(A)":          "$$(A)",
		"$(NO)":            "$(NO)",
		"$(E)":             "",
		"$(A":              "$(A",
		"$":                "$",
		"a$":               "a$",
		"$A":               "$A",
		"$(A)$":            "1$",
		"$(B)$(A)$(NO)$$x": "two1$(NO)$x",
	} {
		if got := Expand(in, lookup); got != want {
			t.Errorf("Expand(%q) = %q, want %q", in, got, want)
		}
	}
}

type objects map[string]any

func (o objects) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	if c, ok := o[name].(*corev1.ConfigMap); ok {
		return c, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
}

func (o objects) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if c, ok := o[name].(*corev1.Secret); ok {
		return c, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

func TestMake(t *testing.T) {
	yes := true
	src := objects{
		"cm":  &corev1.ConfigMap{Data: map[string]string{"k": "v", "over": "cm"}},
		"sec": &corev1.Secret{Data: map[string][]byte{"pw": []byte("hunter2")}},
	}
	c := corev1.Container{
		Name: "app",
		Resources: corev1.ResourceRequirements{
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")},
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
		},
		EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}},
			{Prefix: "S_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "sec"}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: &yes}},
		},
		Env: []corev1.EnvVar{
			{Name: "over", Value: "env"},
			{Name: "REF", Value: "$(over)-$(S_pw)-$(WEB_SERVICE_PORT)-$(later)"},
			{Name: "later", Value: "x"},
			{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "L", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['a']"}}},
			{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
			{Name: "MEM", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "requests.memory", Divisor: resource.MustParse("1Mi")}}},
			{Name: "ALLOC", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Gi")}}},
			{Name: "OPT", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Key: "no", Optional: &yes}}},
		},
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", Labels: map[string]string{"a": "b"}}}
	services := []*corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.7", Ports: []corev1.ServicePort{{Port: 80}}}}}
	at := Place{PodIPs: []string{"10.88.0.1"}, Allocatable: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("3500Mi")}}
	v, err := Make(t.Context(), src, pod, &c, services, at)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ALLOC=4", "CPU=2", "IP=10.88.0.1", "L=b", "MEM=64", "REF=env-hunter2-80-$(later)", "S_pw=hunter2",
		"WEB_PORT=tcp://10.0.0.7:80", "WEB_PORT_80_TCP=tcp://10.0.0.7:80", "WEB_PORT_80_TCP_ADDR=10.0.0.7",
		"WEB_PORT_80_TCP_PORT=80", "WEB_PORT_80_TCP_PROTO=tcp", "WEB_SERVICE_HOST=10.0.0.7", "WEB_SERVICE_PORT=80",
		"k=v", "later=x", "over=env",
	}
	if d := cmp.Diff(want, v.List()); d != "" {
		t.Error(d)
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "sec"}, Key: "no"}}})
	if _, err = Make(t.Context(), src, pod, &c, nil, at); err == nil || err.Error() != "couldn't find key no in Secret ns/sec" {
		t.Errorf("missing key: %v", err)
	}
}
