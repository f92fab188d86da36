package volume

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api/binding"
)

func local(path string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}}}}
}

func claimed(uid string, readOnly bool) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid), Namespace: "ns", Name: "p"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "c"}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c", ReadOnly: readOnly}}}}}}
}

func setOf(t *testing.T, storage string, pv *corev1.PersistentVolume) *Set {
	return New(Config{Dir: t.TempDir(), Storage: storage, NoMounts: true, Log: slog.New(slog.DiscardHandler),
		Claim: func(context.Context, *corev1.Pod, *corev1.Volume) (*corev1.PersistentVolume, error) { return pv, nil }})
}

func TestClaimsAreMounted(t *testing.T) {
	storage, there := t.TempDir(), t.TempDir()
	provisioned := local(filepath.Join(storage, "pvc-1"))
	provisioned.Annotations = map[string]string{binding.ProvisionedBy: binding.LocalPath}
	stray := local(filepath.Join(there, "missing"))
	stray.Annotations = provisioned.Annotations
	block := local(there)
	mode := corev1.PersistentVolumeBlock
	block.Spec.VolumeMode = &mode
	host, nfs := local(""), local("")
	host.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: there}}
	nfs.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}}
	for _, tc := range []struct {
		name, want string // path, or a part of the error
		pv         *corev1.PersistentVolume
	}{
		{"provisioned here", provisioned.Spec.Local.Path, provisioned},
		{"says so, but is elsewhere", "does not exist on this node", stray},
		{"local", there, local(there)},
		{"local and missing", "does not exist on this node", local("/nowhere/at/all")},
		{"hostPath", there, host},
		{"block device", "volumeMode Block", block},
		{"NFS", "no driver", nfs},
	} {
		for _, readOnly := range []bool{false, true} {
			s, p := setOf(t, storage, tc.pv), claimed("u", readOnly)
			got := ""
			if err := s.Prepare(t.Context(), p); err != nil {
				got = err.Error()
			} else {
				m, err := s.Mount(p, &corev1.VolumeMount{Name: "data", MountPath: "/data"}, nil)
				if err != nil || m.ReadOnly != readOnly {
					t.Errorf("%s: %+v, %v", tc.name, m, err)
				}
				got = m.Source
			}
			if got != tc.want && !(strings.HasPrefix(got, "MountVolume.SetUp failed for volume") && strings.Contains(got, tc.want)) {
				t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			}
		}
	}
	st, err := os.Stat(provisioned.Spec.Local.Path)
	if err != nil || st.Mode().Perm() != 0o777 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

func TestVolumeForOnePod(t *testing.T) {
	pv := local(t.TempDir())
	pv.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	s, first, second := setOf(t, "", pv), claimed("one", false), claimed("two", false)
	for range 2 {
		if err := s.Prepare(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Prepare(t.Context(), second); err == nil || !strings.Contains(err.Error(), "already in use by another pod") {
		t.Error(err)
	}
	if err := s.Release(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), second); err != nil {
		t.Error("after the first has gone: ", err)
	}
}

func TestVolumeDevicesAreRefused(t *testing.T) {
	p := claimed("u", false)
	p.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "data", DevicePath: "/dev/x"}}
	if err := setOf(t, "", local(t.TempDir())).Prepare(t.Context(), p); err == nil || !strings.Contains(err.Error(), "volumeDevices") {
		t.Error(err)
	}
}

func TestVolumesComeAndGo(t *testing.T) {
	storage, name := filepath.Join(t.TempDir(), "storage"), strings.Repeat("n", 255)
	if err := Destroy(storage, name); err != nil {
		t.Error("before anything was made: ", err)
	}
	if err := os.MkdirAll(filepath.Join(storage, unfinished(name), "left by a crash"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Provide(storage, name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(storage, name, "data"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if l, _ := os.ReadDir(storage); len(l) != 1 {
		t.Errorf("%v", l)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(storage, name, "out")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Destroy(storage, name); err != nil {
			t.Fatal(err)
		}
	}
	if l, _ := os.ReadDir(storage); len(l) != 0 {
		t.Errorf("left: %v", l)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error("what a link pointed to is gone: ", err)
	}
	for _, path := range []string{storage, filepath.Join(storage, ".."), filepath.Join(storage, "a/b"), "/etc", ""} {
		pv := local(path)
		pv.Annotations = map[string]string{binding.ProvisionedBy: binding.LocalPath}
		if n, ok := Provisioned(storage, pv); ok {
			t.Errorf("%q counts as volume %q", path, n)
		}
	}
}

func TestGroupOwnsVolume(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to change owners")
	}
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "f")
	write := func(path string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(outside, 0o600)
	write(filepath.Join(dir, "sub/f"), 0o604)
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	group := func(path string) (uint32, fs.FileMode) {
		t.Helper()
		st, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return st.Sys().(*syscall.Stat_t).Gid, st.Mode()
	}
	s, gid, mismatch := setOf(t, "", local(dir)), int64(1234), corev1.FSGroupChangeOnRootMismatch
	prepare := func(uid string, policy *corev1.PodFSGroupChangePolicy) {
		t.Helper()
		p := claimed(uid, false)
		p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &gid, FSGroupChangePolicy: policy}
		if err := s.Prepare(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	prepare("one", nil)
	for path, want := range map[string]fs.FileMode{".": fs.ModeDir | fs.ModeSetgid | 0o775, "sub": fs.ModeDir | fs.ModeSetgid | 0o770, "sub/f": 0o664} {
		if g, m := group(filepath.Join(dir, path)); g != 1234 || m != want {
			t.Errorf("%s: group %d, %v, want %v", path, g, m, want)
		}
	}
	if g, m := group(outside); g != 0 || m != 0o600 {
		t.Errorf("changed through a link: group %d, %v", g, m)
	}
	write(filepath.Join(dir, "sub/f"), 0o600)
	prepare("one", nil) // again, as after a restart of the node: not a second time
	prepare("two", &mismatch)
	if _, m := group(filepath.Join(dir, "sub/f")); m != 0o600 {
		t.Errorf("changed although the root is as wanted: %v", m)
	}
	prepare("three", nil)
	if _, m := group(filepath.Join(dir, "sub/f")); m != 0o660 {
		t.Errorf("not changed: %v", m)
	}
}
