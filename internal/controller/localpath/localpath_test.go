package localpath

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func parts(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }

func volumes(r *test.Rig) []*corev1.PersistentVolume { return test.List[*corev1.PersistentVolume](r) }

func TestAVolumesLife(t *testing.T) {
	seed := []api.Object{Class(), node("a", "/data"), claim()}
	test.Run(t, parts, seed, func(r *test.Rig) {
		if l := volumes(r); len(l) != 0 {
			t.Fatalf("%d volumes before a node was chosen", len(l))
		}
		test.Change(r, "ns", "data-0", on("a"))
		v := test.Get[*corev1.PersistentVolume](r, "", "pvc-1234")
		test.Change(r, "ns", "data-0", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = v.Name }) // as the binder would
		_, err := client.MutateStatus(r.Ctx, client.For[*corev1.PersistentVolumeClaim](r.Fake), "ns", "data-0", func(c *corev1.PersistentVolumeClaim) error {
			c.Status.Phase, c.Status.Capacity = corev1.ClaimBound, v.Spec.Capacity
			return nil
		})
		r.OK(err)
		r.Settle()
		more := resource.MustParse("8Gi")
		test.Change(r, "ns", "data-0", func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests[corev1.ResourceStorage] = more })
		v = test.Get[*corev1.PersistentVolume](r, "", v.Name)
		status := test.Get[*corev1.PersistentVolumeClaim](r, "ns", "data-0").Status
		has, says, counts := v.Spec.Capacity[corev1.ResourceStorage], status.Capacity[corev1.ResourceStorage], status.AllocatedResources[corev1.ResourceStorage]
		if has.Cmp(more) != 0 || says.Cmp(more) != 0 || counts.Cmp(more) != 0 {
			t.Errorf("volume has %s, claim says %s of which %s count", &has, &says, &counts)
		}

		_, err = client.MutateStatus(r.Ctx, client.For[*corev1.PersistentVolume](r.Fake), "", v.Name, func(v *corev1.PersistentVolume) error { v.Status.Phase = corev1.VolumeReleased; return nil })
		r.OK(err)
		r.Settle()
		v = test.Get[*corev1.PersistentVolume](r, "", v.Name)
		if v.DeletionTimestamp == nil || !slices.Contains(v.Finalizers, binding.LocalPathFinalizer) {
			t.Errorf("released volume is not left to its node: %+v", v.ObjectMeta)
		}
		r.OK(client.For[*corev1.Node](r.Fake).Delete(r.Ctx, "", "a", metav1.DeleteOptions{}))
		r.Settle()
		if l := volumes(r); len(l) != 0 {
			t.Errorf("%d volumes wait for a node that is gone", len(l))
		}
	})
}

func TestRetainedVolumesStay(t *testing.T) {
	v := volume(claim(on("a")), Class(), node("a", "/data"))
	v.Spec.PersistentVolumeReclaimPolicy, v.Status.Phase = corev1.PersistentVolumeReclaimRetain, corev1.VolumeReleased
	others := volume(claim(on("a"), func(c *corev1.PersistentVolumeClaim) { c.UID = "5" }), Class(), node("a", "/data"))
	others.Annotations[binding.ProvisionedBy], others.Status.Phase = "example.com/disk", corev1.VolumeReleased
	test.Run(t, parts, []api.Object{v, others, node("a", "/data")}, func(r *test.Rig) {
		for _, v := range volumes(r) {
			if v.DeletionTimestamp != nil {
				t.Errorf("%s is deleted", v.Name)
			}
		}
	})
}

func TestClassIsOfferedOnce(t *testing.T) {
	system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}
	test.Run(t, parts, []api.Object{system}, func(r *test.Rig) {
		classes := func() int { return len(test.List[*storagev1.StorageClass](r)) }
		r.OK(Offer(r.Ctx, r.Fake))
		r.OK(Offer(r.Ctx, r.Fake))
		if classes() != 1 {
			t.Errorf("%d classes", classes())
		}
		r.OK(client.For[*storagev1.StorageClass](r.Fake).Delete(r.Ctx, "", ClassName, metav1.DeleteOptions{}))
		r.OK(Offer(r.Ctx, r.Fake))
		if classes() != 0 {
			t.Error("the class came back after its deletion")
		}
	})
	test.Run(t, parts, []api.Object{system, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}}, func(r *test.Rig) {
		r.OK(Offer(r.Ctx, r.Fake))
		if l := test.List[*storagev1.StorageClass](r); len(l) != 1 {
			t.Errorf("%d classes where there was one", len(l))
		}
	})
}
