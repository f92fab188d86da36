package volume

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/node/env"
)

type source struct {
	cm  map[string]*corev1.ConfigMap
	sec map[string]*corev1.Secret
}

func (s *source) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	if o := s.cm[name]; o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
}

func (s *source) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if o := s.sec[name]; o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	have, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range have {
		if e.Name()[0] == '.' && e.Name()[1] == '.' {
			continue
		}
		filepath.Walk(filepath.Join(dir, e.Name()), func(p string, _ fs.FileInfo, _ error) error {
			real, _ := filepath.EvalSymlinks(p)
			st, err := os.Stat(real)
			if err != nil {
				t.Fatal(err)
			}
			if st.IsDir() && real != p {
				sub := tree(t, real)
				for k, v := range sub {
					out[e.Name()+"/"+k] = v
				}
				return nil
			}
			if st.IsDir() {
				return nil
			}
			b, _ := os.ReadFile(real)
			rel, _ := filepath.Rel(dir, p)
			out[rel] = st.Mode().Perm().String() + " " + string(b)
			return nil
		})
	}
	return out
}

func TestRenderedVolumesFollowTheirObjects(t *testing.T) {
	src := &source{
		cm:  map[string]*corev1.ConfigMap{"c": {Data: map[string]string{"a": "1", "b": "2"}}},
		sec: map[string]*corev1.Secret{"s": {Data: map[string][]byte{"k": []byte("secret")}}},
	}
	tokens := 0
	s := New(Config{Dir: t.TempDir(), Source: src, NoMounts: true, Log: slog.New(slog.DiscardHandler),
		Place: func(*corev1.Pod) env.Place { return env.Place{} },
		Token: func(context.Context, *corev1.Pod, string, int64) (string, time.Time, error) {
			tokens++
			return "tok", time.Now().Add(time.Hour), nil
		}})
	ro := int32(0o400)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u1", Namespace: "ns", Name: "p", Labels: map[string]string{"x": "y"}}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "cm", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}},
		{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Items: []corev1.KeyToPath{{Key: "k", Path: "deep/er/k", Mode: &ro}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
		}}}},
	}}}
	if err := s.Prepare(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	cmDir := s.path(pod, "configmap", "cm")
	if d := cmp.Diff(map[string]string{"a": "-rw-r--r-- 1", "b": "-rw-r--r-- 2"}, tree(t, cmDir)); d != "" {
		t.Error(d)
	}
	allDir := s.path(pod, "projected", "all")
	want := map[string]string{"token": "-rw-r--r-- tok", "deep/er/k": "-r-------- secret", "labels": `-rw-r--r-- x="y"`}
	if d := cmp.Diff(want, tree(t, allDir)); d != "" {
		t.Error(d)
	}
	before, _ := os.Readlink(filepath.Join(cmDir, dataLink))
	s.Refresh(t.Context(), pod.UID)
	if after, _ := os.Readlink(filepath.Join(cmDir, dataLink)); after != before {
		t.Error("rewritten although nothing changed")
	}
	src.cm["c"] = &corev1.ConfigMap{Data: map[string]string{"b": "3", "c": "4"}}
	relabelled := pod.DeepCopy()
	relabelled.Labels["x"] = "z"
	s.Update(relabelled)
	if d := cmp.Diff(map[string]string{"b": "-rw-r--r-- 3", "c": "-rw-r--r-- 4"}, tree(t, cmDir)); d != "" {
		t.Error(d)
	}
	if got := tree(t, allDir)["labels"]; got != `-rw-r--r-- x="z"` {
		t.Errorf("labels: %s", got)
	}
	if have, _ := os.ReadDir(cmDir); len(have) != 4 { // two links, ..data, one version
		t.Errorf("earlier versions left: %v", have)
	}
	if tokens != 1 {
		t.Errorf("%d tokens asked for", tokens)
	}
	if err := s.Release(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.PodDir(pod.UID)); !os.IsNotExist(err) {
		t.Error("pod directory left")
	}
}

func TestSubPathStaysInside(t *testing.T) {
	s := New(Config{Dir: t.TempDir(), NoMounts: true})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "e", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}}}
	if err := s.Prepare(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	dir := s.path(pod, "empty-dir", "e")
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	for sub, ok := range map[string]bool{"a/b": true, "../x": false, "/etc": false, "out/evil": false, "out": false} {
		_, err := s.Mount(pod, &corev1.VolumeMount{Name: "e", MountPath: "/m", SubPath: sub}, nil)
		if (err == nil) != ok {
			t.Errorf("%s: %v", sub, err)
		}
	}
	if l, _ := os.ReadDir(outside); len(l) != 0 {
		t.Error("made a directory outside the volume")
	}
}

func TestEmptyDirInMemory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount")
	}
	s := New(Config{Dir: t.TempDir()})
	gid := int64(1234)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{FSGroup: &gid},
		Volumes: []corev1.Volume{{Name: "m", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}}}}
	t.Cleanup(func() {
		if err := s.Release(context.Background(), pod); err != nil {
			t.Error(err)
		}
	})
	for range 2 { // idempotent
		if err := s.Prepare(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(s.path(pod, "empty-dir", "m"))
	if err != nil || st.Mode().Perm() != 0o777 || st.Mode()&os.ModeSetgid == 0 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if n := strings.Count(string(mounts), s.PodDir("u")); n != 1 {
		t.Errorf("%d mounts", n)
	}
}
