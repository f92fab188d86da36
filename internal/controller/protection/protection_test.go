package protection

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	"github.com/dhow-project/dhow/internal/controller/controllertest"
)

func parts(d controller.Deps) []controller.Part {
	return []controller.Part{NewClaims(d), NewVolumes(d), NewClasses(d)}
}

func TestClaimStaysWhileAPodUsesIt(t *testing.T) {
	meta := func(name string, finalizers ...string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "ns", Name: name, Finalizers: finalizers}
	}
	seed := []api.Object{
		&corev1.PersistentVolumeClaim{ObjectMeta: meta("used", "kubernetes.io/pvc-protection")},
		&corev1.PersistentVolumeClaim{ObjectMeta: meta("free", "kubernetes.io/pvc-protection", "example.com/other")},
		&corev1.Pod{ObjectMeta: meta("p"), Spec: corev1.PodSpec{NodeName: "n", Volumes: []corev1.Volume{{Name: "v",
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "used"}}}}}},
	}
	controllertest.Run(t, parts, seed, func(r *controllertest.Rig) {
		pvcs, pods := client.For[*corev1.PersistentVolumeClaim](r.Fake), client.For[*corev1.Pod](r.Fake)
		for _, name := range []string{"used", "free"} {
			r.OK(pvcs.Delete(r.Ctx, "ns", name, metav1.DeleteOptions{}))
		}
		r.Settle()
		if f := controllertest.Get[*corev1.PersistentVolumeClaim](r, "ns", "free").Finalizers; len(f) != 1 || f[0] != "example.com/other" {
			t.Errorf("finalizers of the free claim: %q", f)
		}
		if f := controllertest.Get[*corev1.PersistentVolumeClaim](r, "ns", "used").Finalizers; len(f) != 1 {
			t.Errorf("finalizers of the used claim: %q", f)
		}
		zero := int64(0)
		r.OK(pods.Delete(r.Ctx, "ns", "p", metav1.DeleteOptions{GracePeriodSeconds: &zero}))
		r.Settle()
		if l := controllertest.List[*corev1.PersistentVolumeClaim](r); len(l) != 1 {
			t.Errorf("claims left: %d, want the one with a finalizer of others", len(l))
		}
	})
}

// TestPodDeletedInTheForeground: the pod waits for its own claim, so the claim must not wait for the pod for ever.
func TestPodDeletedInTheForeground(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u", Finalizers: []string{metav1.FinalizerDeleteDependents}},
		Spec: corev1.PodSpec{NodeName: "n", Volumes: []corev1.Volume{{Name: "own", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			{Name: "named", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "named"}}}}}}
	claim := func(name string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Finalizers: []string{"kubernetes.io/pvc-protection"}}}
	}
	own := claim("p-own")
	own.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(pod, corev1.SchemeGroupVersion.WithKind("Pod"))}
	controllertest.Run(t, parts, []api.Object{pod, own, claim("named")}, func(r *controllertest.Rig) {
		pvcs, pods := client.For[*corev1.PersistentVolumeClaim](r.Fake), client.For[*corev1.Pod](r.Fake)
		for _, name := range []string{"p-own", "named"} {
			r.OK(pvcs.Delete(r.Ctx, "ns", name, metav1.DeleteOptions{}))
		}
		for i, grace := range []int64{30, 0} {
			r.OK(pods.Delete(r.Ctx, "ns", "p", metav1.DeleteOptions{GracePeriodSeconds: &grace}))
			r.Settle()
			if l := controllertest.List[*corev1.PersistentVolumeClaim](r); len(l) != 2-i {
				t.Errorf("%d claims after a deletion with grace period %d", len(l), grace)
			}
		}
	})
}

func TestClassStaysWhileAClaimHasIt(t *testing.T) {
	gold := "gold"
	seed := []api.Object{
		&storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: gold, Finalizers: []string{"kubernetes.io/vac-protection"}}, DriverName: "d"},
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"},
			Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &gold}},
	}
	controllertest.Run(t, parts, seed, func(r *controllertest.Rig) {
		r.OK(client.For[*storagev1.VolumeAttributesClass](r.Fake).Delete(r.Ctx, "", gold, metav1.DeleteOptions{}))
		r.Settle()
		if l := controllertest.List[*storagev1.VolumeAttributesClass](r); len(l) != 1 {
			t.Fatalf("classes while in use: %d", len(l))
		}
		r.OK(client.For[*corev1.PersistentVolumeClaim](r.Fake).Delete(r.Ctx, "ns", "c", metav1.DeleteOptions{}))
		r.Settle()
		if l := controllertest.List[*storagev1.VolumeAttributesClass](r); len(l) != 0 {
			t.Errorf("classes afterwards: %d", len(l))
		}
	})
}
