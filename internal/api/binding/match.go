package binding

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// For is whether a volume is reserved for, or bound to, this very claim.
func For(v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) bool {
	r := v.Spec.ClaimRef
	return r != nil && r.Name == c.Name && r.Namespace == c.Namespace && (r.UID == "" || r.UID == c.UID)
}

// Mismatch says why a volume cannot serve a claim that names it, in upstream's words; "" when it can.
func Mismatch(v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) string {
	want, have := c.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case have.Cmp(want) < 0:
		return "requested PV is too small"
	case ClassOfVolume(v) != ClassOf(c):
		return "storageClassName does not match"
	case attributes(c.Spec.VolumeAttributesClassName) != attributes(v.Spec.VolumeAttributesClassName):
		return "volumeAttributesClassName does not match"
	case !SameMode(v, c):
		return "incompatible volumeMode"
	case !allows(v, c):
		return "incompatible accessMode"
	}
	return ""
}

// SameMode is whether both are file systems or both are devices.
func SameMode(v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) bool {
	return mode(v.Spec.VolumeMode) == mode(c.Spec.VolumeMode)
}

func mode(m *corev1.PersistentVolumeMode) corev1.PersistentVolumeMode {
	if m == nil {
		return corev1.PersistentVolumeFilesystem
	}
	return *m
}

func attributes(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}

func allows(v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) bool {
	return !slices.ContainsFunc(c.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return !slices.Contains(v.Spec.AccessModes, m)
	})
}

// Reaches is whether a volume can be used on a node with these labels.
func Reaches(v *corev1.PersistentVolume, n *corev1.Node) bool {
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
		return true
	}
	terms, err := nodeaffinity.NewNodeSelector(v.Spec.NodeAffinity.Required)
	return err == nil && terms.Match(n)
}

// Search is what Best looks for.
type Search struct {
	Claim *corev1.PersistentVolumeClaim
	// Reserved finds only a volume that is reserved for the claim: its class waits for the scheduler.
	Reserved bool
	// On, when not nil, asks for volumes that reach this node.
	On *corev1.Node
	// Taken are volumes that are promised to others already.
	Taken func(name string) bool
}

// Best is the volume that suits a claim: one reserved for it, else the smallest that is free and large enough (of
// equals the first by name); nil when there is none. Volumes of other classes may be in the list.
func Best(s Search, volumes []*corev1.PersistentVolume) *corev1.PersistentVolume {
	selector := labels.Everything()
	if s.Claim.Spec.Selector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(s.Claim.Spec.Selector); err != nil {
			selector = labels.Nothing()
		}
	}
	var best *corev1.PersistentVolume
	for _, v := range volumes {
		if !s.candidate(v) {
			continue
		}
		reaches := s.On == nil || Reaches(v, s.On)
		if For(v, s.Claim) {
			if !reaches {
				return nil
			}
			return v
		}
		if s.Reserved || !reaches || v.Status.Phase != corev1.VolumeAvailable || !selector.Matches(labels.Set(v.Labels)) ||
			ClassOfVolume(v) != ClassOf(s.Claim) {
			continue
		}
		if best == nil || smaller(v, best) {
			best = v
		}
	}
	return best
}

// candidate is whether v is not somebody else's and could hold what the claim wants.
func (s *Search) candidate(v *corev1.PersistentVolume) bool {
	want, have := s.Claim.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case v.Spec.ClaimRef != nil && !For(v, s.Claim), s.Taken != nil && s.Taken(v.Name), v.DeletionTimestamp != nil:
		return false
	}
	return have.Cmp(want) >= 0 && SameMode(v, s.Claim) && allows(v, s.Claim) && attributes(s.Claim.Spec.VolumeAttributesClassName) == attributes(v.Spec.VolumeAttributesClassName)
}

func smaller(a, b *corev1.PersistentVolume) bool {
	x, y := a.Spec.Capacity[corev1.ResourceStorage], b.Spec.Capacity[corev1.ResourceStorage]
	if c := x.Cmp(y); c != 0 {
		return c < 0
	}
	return a.Name < b.Name
}
