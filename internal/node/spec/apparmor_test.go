package spec

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAppArmor(t *testing.T) {
	name := "mine"
	local := &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	standard := &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	none := &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	for _, c := range []struct {
		why       string
		pod, own  *corev1.AppArmorProfile
		annotated string
		want      string
	}{
		{"nothing", nil, nil, "", ""},
		{"the pod's", local, nil, "", "mine"},
		{"its own wins", local, none, "", "unconfined"},
		{"runtime's", nil, standard, "", ""},
		{"annotation", nil, nil, "localhost/old", "old"},
		{"annotation of none", nil, nil, "unconfined", "unconfined"},
		{"annotation of the runtime's", nil, nil, "runtime/default", ""},
		{"the field wins", standard, nil, "localhost/old", ""},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{AppArmorProfile: c.pod}}}
		p.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/app": c.annotated}
		if got := AppArmor(p, &corev1.Container{Name: "app", SecurityContext: &corev1.SecurityContext{AppArmorProfile: c.own}}); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}
