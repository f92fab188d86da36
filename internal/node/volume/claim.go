package volume

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
)

// claim finds where a claim's volume is on this machine. Only local and hostPath volumes are; others need a driver.
func (s *Set) claim(ctx context.Context, pod *corev1.Pod, name string) (string, error) {
	if s.cfg.Claim == nil {
		return "", fmt.Errorf("claim %s: this node has no persistent volumes", name)
	}
	pv, err := s.cfg.Claim(ctx, pod.Namespace, name)
	if err != nil {
		return "", err
	}
	switch {
	case pv.Spec.HostPath != nil:
		return pv.Spec.HostPath.Path, hostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		if _, err := os.Stat(pv.Spec.Local.Path); err != nil {
			return "", fmt.Errorf("path %q of persistent volume %s does not exist on this node", pv.Spec.Local.Path, pv.Name)
		}
		return pv.Spec.Local.Path, nil
	}
	return "", fmt.Errorf("persistent volume %s: this node mounts only local and hostPath volumes", pv.Name)
}
