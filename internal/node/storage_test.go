package node

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
)

// provisioned is a volume of this node with a file in it.
func (w *world) provisioned(name string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	w.Helper()
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{binding.ProvisionedBy: binding.LocalPath},
			Labels: map[string]string{binding.LocalPathNode: "n1"}, Finalizers: []string{"kubernetes.io/pv-protection", binding.LocalPathFinalizer}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: filepath.Join(w.dir, "storage", name)}},
		},
	}
	for _, f := range change {
		f(v)
	}
	if err := os.MkdirAll(filepath.Join(v.Spec.Local.Path, "sub"), 0o755); err != nil {
		w.Fatal(err)
	}
	made, err := client.For[*corev1.PersistentVolume](w.conn).Create(context.Background(), v)
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// letGo deletes a volume that nobody has any more.
func (w *world) letGo(v *corev1.PersistentVolume, finalizers ...string) {
	w.Helper()
	v = v.DeepCopy()
	now := metav1.Now()
	v.DeletionTimestamp, v.Finalizers = &now, finalizers
	if _, err := client.For[*corev1.PersistentVolume](w.conn).Update(context.Background(), v); err != nil {
		w.Fatal(err)
	}
}

// released waits until this node has let go of a volume.
func (w *world) released(name string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	watch, err := w.conn.Watch(ctx, client.KindOf[*corev1.PersistentVolume](w.conn.reg), "", metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		w.Fatal(err)
	}
	defer watch.Close()
	for {
		evs, err := watch.Next()
		if err != nil {
			w.Fatalf("volume %s is kept: %v", name, err)
		}
		for _, ev := range evs {
			if ev.Type != client.Bookmark && len(ev.Object.GetFinalizers()) == 0 {
				return
			}
		}
	}
}

func TestDeletedVolumesAreRemoved(t *testing.T) {
	w := newWorld(t)
	outside := t.TempDir()
	retained := w.provisioned("retained", func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	})
	stray := w.provisioned("stray", func(v *corev1.PersistentVolume) { v.Spec.Local.Path = filepath.Join(outside, "data") })
	inUse, gone := w.provisioned("in-use"), w.provisioned("gone")
	w.letGo(inUse, "kubernetes.io/pv-protection", binding.LocalPathFinalizer)
	for _, v := range []*corev1.PersistentVolume{retained, stray, gone} {
		w.letGo(v, binding.LocalPathFinalizer)
		w.released(v.Name)
	}
	for v, want := range map[*corev1.PersistentVolume]bool{retained: true, stray: true, inUse: true, gone: false} {
		if _, err := os.Stat(v.Spec.Local.Path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", v.Name, err, want)
		}
	}
	w.stop()
	late := w.provisioned("late")
	w.letGo(late, binding.LocalPathFinalizer) // while the node was away
	w.boot()
	w.released("late")
	if _, err := os.Stat(late.Spec.Local.Path); !os.IsNotExist(err) {
		t.Errorf("late: %v", err)
	}
}
