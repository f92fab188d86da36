package volume

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
)

// claim makes the volume behind a claim usable: a directory that was provisioned here, one an administrator made
// (local), or any path (hostPath). Others need a driver, which this node has not.
func (s *Set) claim(ctx context.Context, v *podVolumes, vol *corev1.Volume) error {
	if s.cfg.Claim == nil {
		return fmt.Errorf("this node has no persistent volumes")
	}
	pv, err := s.cfg.Claim(ctx, v.pod, vol)
	if err != nil {
		return err
	}
	if m := pv.Spec.VolumeMode; m != nil && *m == corev1.PersistentVolumeBlock {
		return fmt.Errorf("persistent volume %s has volumeMode Block: this node mounts only file systems, use volumeMode Filesystem", pv.Name)
	}
	if !s.reserve(v.pod, pv) {
		return fmt.Errorf("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
	}
	readOnly := vol.PersistentVolumeClaim != nil && vol.PersistentVolumeClaim.ReadOnly
	switch {
	case pv.Spec.HostPath != nil:
		v.set(vol.Name, pv.Spec.HostPath.Path, readOnly)
		return hostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		if err := s.local(pv); err != nil {
			return err
		}
		v.set(vol.Name, pv.Spec.Local.Path, readOnly)
		if readOnly {
			return nil
		}
		return s.ownOnce(ctx, v.pod, pv)
	}
	return fmt.Errorf("persistent volume %s is of a kind this node has no driver for; it mounts local and hostPath volumes, and those of class %s", pv.Name, binding.LocalPath)
}

// reserve takes a volume that serves one pod at a time for a pod. The scheduler sees to that too, but not every pod
// comes by it.
func (s *Set) reserve(pod *corev1.Pod, pv *corev1.PersistentVolume) bool {
	if !slices.Contains(pv.Spec.AccessModes, corev1.ReadWriteOncePod) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if uid, taken := s.alone[pv.Name]; taken && uid != pod.UID {
		return false
	}
	s.alone[pv.Name] = pod.UID
	return true
}

// local makes sure that the directory of a local volume is there.
func (s *Set) local(pv *corev1.PersistentVolume) error {
	if name, ok := Provisioned(s.cfg.Storage, pv); ok {
		return Provide(s.cfg.Storage, name)
	}
	switch st, err := os.Stat(pv.Spec.Local.Path); {
	case err != nil:
		return fmt.Errorf("path %q of persistent volume %s does not exist on this node", pv.Spec.Local.Path, pv.Name)
	case !st.IsDir():
		return fmt.Errorf("path %q of persistent volume %s is no directory, and this node mounts no devices", pv.Spec.Local.Path, pv.Name)
	}
	return nil
}

// ownOnce gives a volume to the pod's fsGroup, once for each pod: the mark is an empty directory where others expect
// the mount point of the volume.
func (s *Set) ownOnce(ctx context.Context, pod *corev1.Pod, pv *corev1.PersistentVolume) error {
	mark := s.path(pod, "local-volume", pv.Name)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if g := fsGroup(pod); g != nil {
		policy := corev1.FSGroupChangeAlways
		if p := pod.Spec.SecurityContext.FSGroupChangePolicy; p != nil {
			policy = *p
		}
		if err := own(ctx, pv.Spec.Local.Path, int(*g), policy); err != nil {
			return fmt.Errorf("apply fsGroup %d to persistent volume %s: %w", *g, pv.Name, err)
		}
	}
	return os.MkdirAll(mark, 0o750)
}

// Provisioned is the name of the directory in storage that holds a volume of the built-in provisioner. A path that is
// not right below storage is somebody else's.
func Provisioned(storage string, pv *corev1.PersistentVolume) (name string, ok bool) {
	if storage == "" || pv.Spec.Local == nil || pv.Annotations[binding.ProvisionedBy] != binding.LocalPath {
		return "", false
	}
	dir, name := filepath.Split(pv.Spec.Local.Path)
	return name, filepath.Clean(dir) == filepath.Clean(storage) && filepath.IsLocal(name) && name != "."
}
