package node

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/client"
)

// claim finds the volume behind a pod's claim, once both are bound and the volume can be used here.
func (n *Node) claim(ctx context.Context, p *corev1.Pod, vol *corev1.Volume) (*corev1.PersistentVolume, error) {
	name, own := binding.ClaimOf(p.Name, vol)
	c, err := client.For[*corev1.PersistentVolumeClaim](n.cfg.Conn).Get(ctx, p.Namespace, name)
	if err != nil {
		return nil, err
	}
	switch {
	case own && !metav1.IsControlledBy(c, p):
		return nil, fmt.Errorf("PVC %s/%s was not created for pod %s/%s (pod is not owner)", p.Namespace, name, p.Namespace, p.Name)
	case !binding.Bound(c):
		return nil, fmt.Errorf("PVC %s/%s is not bound", p.Namespace, name)
	}
	pv, err := client.For[*corev1.PersistentVolume](n.cfg.Conn).Get(ctx, "", c.Spec.VolumeName)
	switch {
	case err != nil:
		return nil, err
	case pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != c.UID:
		return nil, fmt.Errorf("PV %s is not bound to PVC %s/%s", pv.Name, p.Namespace, name)
	case !binding.Reaches(pv, n.self.node()):
		return nil, fmt.Errorf("PV %s can not be used on node %s: its nodeAffinity names others", pv.Name, n.cfg.Name)
	}
	return pv, nil
}
