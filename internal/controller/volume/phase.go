package volume

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api/binding"
)

// decideVolume says what becomes of a volume. claim is the one it is bound to, by UID; nil when that is gone.
//
//	Available ──a claim──► Bound ──claim deleted──► Released ──reclaim policy──► stays, goes, or Failed
func decideVolume(v *corev1.PersistentVolume, claim *corev1.PersistentVolumeClaim) (p plan) {
	switch r := v.Spec.ClaimRef; {
	case r == nil, r.UID == "": // free, or a user keeps it for a claim to come
		p.phase(v, corev1.VolumeAvailable)
	case claim == nil:
		p.release(v)
	case claim.Spec.VolumeName == "":
		if !binding.SameMode(v, claim) {
			p.tell(v, corev1.EventTypeWarning, "VolumeMismatch", "Cannot bind PersistentVolume to requested PersistentVolumeClaim %q due to incompatible volumeMode.", claim.Name)
			p.tell(claim, corev1.EventTypeWarning, "VolumeMismatch", "Cannot bind PersistentVolume %q to requested PersistentVolumeClaim due to incompatible volumeMode.", v.Name)
			return p
		}
		p.again = true // the claim's own look binds both
	case claim.Spec.VolumeName == v.Name:
		p.phase(v, corev1.VolumeBound)
	case made(v) && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		p.release(v) // made for a claim that took another
	default:
		p.unbind(v)
	}
	return p
}

// made is whether a provisioner made the volume, and so removes it.
func made(v *corev1.PersistentVolume) bool { return v.Annotations[binding.ProvisionedBy] != "" }

// phase of a volume, when it is another.
func (p *plan) phase(v *corev1.PersistentVolume, to corev1.PersistentVolumePhase) {
	if v.Status.Phase == to {
		return
	}
	p.was, p.volume = v, v.DeepCopy()
	p.volume.Status.Phase, p.volume.Status.Reason, p.volume.Status.Message = to, "", ""
}

// release lets a volume go as its policy says. What a provisioner made, that provisioner deletes.
func (p *plan) release(v *corev1.PersistentVolume) {
	if v.Status.Phase == corev1.VolumeReleased || v.Status.Phase == corev1.VolumeFailed {
		return
	}
	switch v.Spec.PersistentVolumeReclaimPolicy {
	case corev1.PersistentVolumeReclaimDelete:
		if by := v.Annotations[binding.ProvisionedBy]; by != "" && !strings.HasPrefix(by, "kubernetes.io/") {
			p.phase(v, corev1.VolumeReleased)
			return
		}
		p.failed(v, "VolumeFailedDelete", "error getting deleter volume plugin for volume \""+v.Name+"\": no deletable volume plugin matched")
	case corev1.PersistentVolumeReclaimRecycle:
		p.failed(v, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
	default:
		p.phase(v, corev1.VolumeReleased)
	}
}

func (p *plan) failed(v *corev1.PersistentVolume, reason, message string) {
	p.phase(v, corev1.VolumeFailed)
	p.volume.Status.Message = message
	p.tell(v, corev1.EventTypeWarning, reason, "%s", message)
}

// unbind frees a volume whose claim has another. A reservation that a user made stays one.
func (p *plan) unbind(v *corev1.PersistentVolume) {
	p.was, p.volume = v, v.DeepCopy()
	if v.Annotations[binding.BoundByController] != "" {
		p.volume.Spec.ClaimRef = nil
		delete(p.volume.Annotations, binding.BoundByController)
	} else {
		p.volume.Spec.ClaimRef.UID, p.volume.Spec.ClaimRef.ResourceVersion = "", ""
	}
	p.volume.Status.Phase, p.volume.Status.Reason, p.volume.Status.Message = corev1.VolumeAvailable, "", ""
}
