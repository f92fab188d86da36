package statefulset

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

const (
	keep = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	del  = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
)

func claimed(whenDeleted, whenScaled appsv1.PersistentVolumeClaimRetentionPolicyType) func(*appsv1.StatefulSet) {
	return func(s *appsv1.StatefulSet) {
		parallel(s)
		s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
		s.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "tmp"}, {Name: "data"}}
		s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: whenDeleted, WhenScaled: whenScaled}
	}
}

// claims are their owners' kinds by name.
func claims(r *test.Rig) map[string]string {
	out := map[string]string{}
	for _, c := range test.List[*corev1.PersistentVolumeClaim](r) {
		s := ""
		for _, ref := range c.OwnerReferences {
			s += ref.Kind + " "
		}
		out[c.Name] = s
	}
	return out
}

func TestClaims(t *testing.T) {
	for _, c := range []struct {
		deleted, scaled appsv1.PersistentVolumeClaimRetentionPolicyType
		all, one        string
	}{
		{keep, keep, "", ""}, {del, keep, "StatefulSet ", "StatefulSet "}, {keep, del, "", "Pod "}, {del, del, "StatefulSet ", "Pod "},
	} {
		run(t, web(2, claimed(c.deleted, c.scaled)), func(r *test.Rig) {
			if d := cmp.Diff(map[string]string{"data-web-0": c.all, "data-web-1": c.all}, claims(r)); d != "" {
				t.Error(d)
			}
			v := test.Get[*corev1.Pod](r, "ns", "web-1").Spec.Volumes
			if len(v) != 2 || v[0].PersistentVolumeClaim.ClaimName != "data-web-1" {
				t.Errorf("volumes %+v", v)
			}
			scale(r, 1)
			if d := cmp.Diff(map[string]string{"data-web-0": c.all, "data-web-1": c.one}, claims(r)); d != "" {
				t.Error(d)
			}
			// The claim of the pod that went blocks the next of that name while it is going.
			scale(r, 2)
			if n := len(test.List[*corev1.Pod](r)); (n == 1) != (c.scaled == del) {
				t.Errorf("%d pods", n)
			}
			if c.scaled == del {
				r.OK(client.For[*corev1.PersistentVolumeClaim](r.Fake).Delete(r.Ctx, "ns", "data-web-1", metav1.DeleteOptions{}))
				r.Settle()
			}
			if d := cmp.Diff(map[string]string{"data-web-0": c.all, "data-web-1": c.all}, claims(r)); d != "" || len(test.List[*corev1.Pod](r)) != 2 {
				t.Error(d)
			}
		})
	}
}

func TestClaimOfOthers(t *testing.T) {
	run(t, web(1, claimed(keep, keep)), func(r *test.Rig) {
		yes := true
		test.Change(r, "ns", "data-web-0", func(c *corev1.PersistentVolumeClaim) {
			c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Other", Name: "o", UID: "o", Controller: &yes}}
		})
		change(r, func(s *appsv1.StatefulSet) { s.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted = del })
		if d := cmp.Diff(map[string]string{"data-web-0": "Other "}, claims(r)); d != "" {
			t.Error(d)
		}
	})
}

func TestPendingPodGetsItsClaimBack(t *testing.T) {
	run(t, web(1, claimed(keep, keep)), func(r *test.Rig) {
		phase(r, "web-0", corev1.PodPending)
		r.OK(client.For[*corev1.PersistentVolumeClaim](r.Fake).Delete(r.Ctx, "ns", "data-web-0", metav1.DeleteOptions{}))
		r.Settle()
		if d := cmp.Diff(map[string]string{"data-web-0": ""}, claims(r)); d != "" {
			t.Error(d)
		}
	})
}
