package volume

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/binding"
)

// claimView is what is known when a claim is decided.
type claimView struct {
	claim    *corev1.PersistentVolumeClaim
	class    *storagev1.StorageClass // that it asks for; nil when there is none of that name
	fallback string                  // name of the default class, "" when there is none
	volume   *corev1.PersistentVolume
	volumes  []*corev1.PersistentVolume // free ones of its class, and those reserved for it
}

// plan is what a claim and a volume should be; nil leaves one as it is.
type plan struct {
	claim  *corev1.PersistentVolumeClaim
	volume *corev1.PersistentVolume
	was    *corev1.PersistentVolume // what volume is made from
	events []event
	again  bool // the claim is to be looked at
}

type event struct {
	about                 api.Object
	kind, reason, message string
}

func (p *plan) tell(about api.Object, kind, reason, format string, args ...any) {
	p.events = append(p.events, event{about, kind, reason, fmt.Sprintf(format, args...)})
}

// decideClaim says what becomes of a claim (upstream: the persistent volume controller).
//
//	Pending ──a volume suits, or one was made──► Bound ──its volume vanished──► Lost
func decideClaim(v claimView) plan {
	switch {
	case v.claim.Annotations[binding.BindCompleted] != "":
		return boundClaim(v)
	case v.claim.Spec.VolumeName != "":
		return namedVolume(v)
	}
	return openClaim(v)
}

// boundClaim makes sure that what was bound once still is.
func boundClaim(v claimView) (p plan) {
	lost := func(reason, message string) plan {
		if v.claim.Status.Phase != corev1.ClaimLost {
			p.claim = v.claim.DeepCopy()
			p.claim.Status.Phase = corev1.ClaimLost
			p.claim.Status.AccessModes, p.claim.Status.Capacity = nil, nil
			p.tell(v.claim, corev1.EventTypeWarning, reason, "%s", message)
		}
		return p
	}
	switch {
	case v.claim.Spec.VolumeName == "":
		return lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
	case v.volume == nil:
		return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
	case v.volume.Spec.ClaimRef == nil || v.volume.Spec.ClaimRef.UID == v.claim.UID:
		p.bind(v.claim, v.volume)
		return p
	}
	return lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
}

// namedVolume: the user chose the volume, or binding was interrupted half-way.
func namedVolume(v claimView) (p plan) {
	switch {
	case v.volume == nil:
		p.pending(v.claim)
	case v.volume.Spec.ClaimRef == nil || binding.For(v.volume, v.claim):
		if why := binding.Mismatch(v.volume, v.claim); v.volume.Spec.ClaimRef == nil && why != "" {
			p.tell(v.claim, corev1.EventTypeWarning, "VolumeMismatch", "Cannot bind to requested volume %q: %s", v.volume.Name, why)
			p.pending(v.claim)
			return p
		}
		p.bind(v.claim, v.volume)
	default:
		p.tell(v.claim, corev1.EventTypeWarning, "FailedBinding", "volume %q already bound to a different claim.", v.volume.Name)
		p.pending(v.claim)
	}
	return p
}

// openClaim finds a volume, or somebody who makes one.
func openClaim(v claimView) (p plan) {
	waits := binding.Waits(v.class)
	if best := binding.Best(binding.Search{Claim: v.claim, Reserved: waits}, v.volumes); best != nil {
		p.bind(v.claim, best)
		return p
	}
	p.pending(v.claim)
	class := binding.ClassOf(v.claim)
	switch {
	case v.claim.DeletionTimestamp != nil:
	case binding.Classless(v.claim) && v.fallback != "":
		p.change(v.claim).Spec.StorageClassName = &v.fallback
	case waits && v.claim.Annotations[binding.SelectedNode] == "":
		p.tell(v.claim, corev1.EventTypeNormal, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	case class == "":
		p.tell(v.claim, corev1.EventTypeNormal, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
	default:
		p.provision(v, class)
	}
	return p
}

// provision leaves the claim to the provisioner of its class.
func (p *plan) provision(v claimView, class string) {
	switch {
	case v.class == nil:
		p.tell(v.claim, corev1.EventTypeWarning, "ProvisioningFailed", "storageclass.storage.k8s.io %q not found", class)
		return
	case strings.HasPrefix(v.class.Provisioner, "kubernetes.io/"):
		p.tell(v.claim, corev1.EventTypeWarning, "ProvisioningFailed", "no volume plugin matched name: %s", v.class.Provisioner)
		return
	case v.claim.Annotations[binding.Provisioner] != v.class.Provisioner:
		claim := p.change(v.claim)
		annotate(claim, binding.Provisioner, v.class.Provisioner)
		annotate(claim, binding.BetaProvisioner, v.class.Provisioner)
	}
	if v.class.Provisioner != binding.LocalPath { // ours does not let anybody wait
		p.tell(v.claim, corev1.EventTypeNormal, "ExternalProvisioning",
			"Waiting for a volume to be created either by the external provisioner '%s' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
			v.class.Provisioner)
	}
}

// change is the claim to be written, made on first use.
func (p *plan) change(c *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	if p.claim == nil {
		p.claim = c.DeepCopy()
	}
	return p.claim
}

func (p *plan) pending(c *corev1.PersistentVolumeClaim) {
	if c.Status.Phase != corev1.ClaimPending {
		p.change(c).Status.Phase = corev1.ClaimPending
	}
}
