package localpath

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/api/binding"
)

func claim(change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	name := ClassName
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data-0", UID: "1234"},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")}}},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func on(node string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Annotations = map[string]string{binding.SelectedNode: node, binding.Provisioner: binding.LocalPath}
	}
}

func node(name, root string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name + "-host"}, Annotations: map[string]string{binding.LocalPathRoot: root}}}
}

func TestDecide(t *testing.T) {
	immediate := Class()
	now := storagev1.VolumeBindingImmediate
	immediate.VolumeBindingMode = &now
	odd := Class()
	odd.Parameters = map[string]string{"nodePath": "/mnt"}
	type nodes = []*corev1.Node
	for _, tc := range []struct {
		name  string
		claim *corev1.PersistentVolumeClaim
		class *storagev1.StorageClass
		nodes nodes
		want  string // path, "again", or a refusal's beginning
	}{
		{"on the chosen node", claim(on("a")), Class(), nodes{node("a", "/data")}, "/data/pvc-1234_ns_data-0"},
		{"none chosen yet", claim(), Class(), nodes{node("a", "/data")}, ""},
		{"the chosen node is gone", claim(on("a")), Class(), nil, "again"},
		{"the chosen node keeps no volumes", claim(on("a")), Class(), nodes{node("a", "")}, "node a keeps no local volumes"},
		{"at once, where there is no choice", claim(), immediate, nodes{node("a", "/data"), node("b", "")}, "/data/pvc-1234_ns_data-0"},
		{"at once, but where", claim(), immediate, nodes{node("a", "/data"), node("b", "/data")}, "there are several nodes"},
		{"block device", claim(on("a"), func(c *corev1.PersistentVolumeClaim) { m := corev1.PersistentVolumeBlock; c.Spec.VolumeMode = &m }), Class(), nodes{node("a", "/data")}, "a directory is no block device"},
		{"selector", claim(on("a"), func(c *corev1.PersistentVolumeClaim) { c.Spec.Selector = &metav1.LabelSelector{} }), Class(), nodes{node("a", "/data")}, "claim Selector"},
		{"parameters of others", claim(on("a")), odd, nodes{node("a", "/data")}, "the class has parameters"},
		{"a long name", claim(on("a"), func(c *corev1.PersistentVolumeClaim) { c.Name = strings.Repeat("x", 253) }), Class(), nodes{node("a", "/d")}, "/d/pvc-1234_ns_" + strings.Repeat("x", longest-len("pvc-1234_ns_"))},
	} {
		p := decide(tc.claim, tc.class, tc.nodes)
		got := p.refusal
		switch {
		case p.unselect:
			got = "again"
		case p.volume != nil:
			got = p.volume.Spec.Local.Path
			check(t, p.volume)
		}
		if got != tc.want && (p.refusal == "" || tc.want == "" || !strings.HasPrefix(got, tc.want)) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// check that the server would take the volume, and that it can only be used where it is.
func check(t *testing.T, v *corev1.PersistentVolume) {
	t.Helper()
	k := api.NewRegistry(all.Kinds()).Kind(corev1.SchemeGroupVersion.WithKind("PersistentVolume").GroupKind())
	if errs := k.Validate(v); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
	if !binding.Reaches(v, node("a", "")) || binding.Reaches(v, node("b", "")) {
		t.Errorf("affinity %+v", v.Spec.NodeAffinity)
	}
}
