package volume

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
)

// bind makes claim and volume name each other. Written in this order, every prefix of it is a state that the next
// look completes: volume, its phase, claim, its phase.
func (p *plan) bind(claim *corev1.PersistentVolumeClaim, v *corev1.PersistentVolume) {
	p.was, p.volume, p.claim = v, v.DeepCopy(), claim.DeepCopy()
	if !binding.For(v, claim) {
		annotate(p.volume, binding.BoundByController, "yes")
	}
	if r := v.Spec.ClaimRef; r == nil || r.UID != claim.UID {
		p.volume.Spec.ClaimRef = &corev1.ObjectReference{
			APIVersion: "v1", Kind: "PersistentVolumeClaim",
			Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
		}
	}
	p.volume.Status.Phase = corev1.VolumeBound
	p.volume.Status.Reason, p.volume.Status.Message = "", ""

	if claim.Spec.VolumeName == "" {
		annotate(p.claim, binding.BoundByController, "yes")
	}
	annotate(p.claim, binding.BindCompleted, "yes")
	p.claim.Spec.VolumeName = v.Name
	s := &p.claim.Status
	if s.Phase != corev1.ClaimBound || s.Capacity == nil { // later sizes are the resizer's
		s.Capacity = maps.Clone(v.Spec.Capacity)
		s.CurrentVolumeAttributesClassName = v.Spec.VolumeAttributesClassName
	}
	s.AccessModes = slices.Clone(v.Spec.AccessModes)
	s.Phase = corev1.ClaimBound
}

func annotate(o metav1.Object, key, value string) {
	a := o.GetAnnotations()
	if a == nil {
		a = map[string]string{}
	}
	a[key] = value
	o.SetAnnotations(a)
}
