package volume

import (
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
)

// emptyDir is open to everybody, as upstream's: 0777, and the fsGroup's with setgid when there is one.
func (s *Set) emptyDir(path string, pod *corev1.Pod, src *corev1.EmptyDirVolumeSource) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	if src.Medium == corev1.StorageMediumMemory && !s.cfg.NoMounts {
		size := int64(0)
		if src.SizeLimit != nil {
			size = src.SizeLimit.Value()
		}
		if err := mountTmpfs(path, size); err != nil {
			return err
		}
	}
	mode := os.FileMode(0o777)
	if g := fsGroup(pod); g != nil {
		if err := os.Chown(path, -1, int(*g)); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(path, mode)
}

func fsGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

// hostPath checks, and where asked makes, what is there (API reference: HostPathType).
func hostPath(src *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if src.Type != nil {
		kind = *src.Type
	}
	bad := func(what string) error {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", src.Path, what)
	}
	st, err := os.Stat(src.Path)
	switch kind {
	case corev1.HostPathUnset:
		if os.IsNotExist(err) { // as container runtimes do for a missing source of a bind mount
			return os.MkdirAll(src.Path, 0o755)
		}
		return nil
	case corev1.HostPathDirectoryOrCreate:
		if os.IsNotExist(err) {
			return os.MkdirAll(src.Path, 0o755)
		}
		if err != nil || !st.IsDir() {
			return bad("directory")
		}
	case corev1.HostPathFileOrCreate:
		if os.IsNotExist(err) {
			f, err := os.OpenFile(src.Path, os.O_CREATE, 0o644)
			if err != nil {
				return err
			}
			return f.Close()
		}
		if err != nil || !st.Mode().IsRegular() {
			return bad("file")
		}
	case corev1.HostPathDirectory:
		if err != nil || !st.IsDir() {
			return bad("directory")
		}
	case corev1.HostPathFile:
		if err != nil || !st.Mode().IsRegular() {
			return bad("file")
		}
	case corev1.HostPathSocket:
		if err != nil || st.Mode()&os.ModeSocket == 0 {
			return bad("socket file")
		}
	case corev1.HostPathCharDev:
		if err != nil || st.Mode()&os.ModeCharDevice == 0 {
			return bad("character device")
		}
	case corev1.HostPathBlockDev:
		if err != nil || st.Mode()&os.ModeDevice == 0 || st.Mode()&os.ModeCharDevice != 0 {
			return bad("block device")
		}
	default:
		return fmt.Errorf("%s is an invalid volume type", kind)
	}
	return nil
}
