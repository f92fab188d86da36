package volume

import (
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
)

// Usage is the file system that a claim of a pod lies on. Nothing is set aside for a directory, so these are the
// numbers of the whole file system, as of other local volumes.
type Usage struct {
	Volume, Claim                  string
	Capacity, Available, Used      uint64 // bytes
	Inodes, InodesFree, InodesUsed uint64
}

// Claims measures the volumes of a pod that are behind claims.
func (s *Set) Claims(pod *corev1.Pod) (out []Usage) {
	s.mu.Lock()
	v := s.pods[pod.UID]
	s.mu.Unlock()
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		name, _ := binding.ClaimOf(pod.Name, vol)
		path := v.paths[vol.Name]
		var st syscall.Statfs_t
		if name == "" || path == "" || syscall.Statfs(path, &st) != nil {
			continue
		}
		size := uint64(st.Bsize)
		out = append(out, Usage{vol.Name, name, st.Blocks * size, st.Bavail * size, (st.Blocks - st.Bfree) * size, st.Files, st.Ffree, st.Files - st.Ffree})
	}
	return out
}
