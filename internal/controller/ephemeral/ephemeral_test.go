package ephemeral

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func TestClaimOfAPod(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
			Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
		}}}},
		{Name: "other", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}}}
	parts := func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }
	test.Run(t, parts, []api.Object{p}, func(r *test.Rig) {
		check := func() {
			t.Helper()
			c := test.Get[*corev1.PersistentVolumeClaim](r, "ns", "p-scratch")
			if !metav1.IsControlledBy(c, p) || c.Labels["a"] != "b" || len(c.Spec.AccessModes) != 1 || len(test.List[*corev1.PersistentVolumeClaim](r)) != 1 {
				t.Errorf("claim %+v", c)
			}
		}
		check()
		r.OK(client.For[*corev1.PersistentVolumeClaim](r.Fake).Delete(r.Ctx, "ns", "p-scratch", metav1.DeleteOptions{}))
		r.Settle()
		check() // a pod that lives needs it
		_, err := client.MutateStatus(r.Ctx, client.For[*corev1.Pod](r.Fake), "ns", "p", func(p *corev1.Pod) error { p.Status.Phase = corev1.PodSucceeded; return nil })
		r.OK(err)
		r.Settle()
		r.OK(client.For[*corev1.PersistentVolumeClaim](r.Fake).Delete(r.Ctx, "ns", "p-scratch", metav1.DeleteOptions{}))
		r.Settle()
		if l := test.List[*corev1.PersistentVolumeClaim](r); len(l) != 0 {
			t.Errorf("%d claims for a pod that has ended", len(l))
		}
	})
}
