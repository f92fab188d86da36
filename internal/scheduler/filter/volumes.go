package filter

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/scheduler/cluster"
)

// Upstream's words.
const (
	noVolume    = "node(s) didn't find available persistent volumes to bind"
	elsewhere   = "node(s) didn't match PersistentVolume's node affinity"
	vanished    = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
	inUse       = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
	notBoundYet = "pod has unbound immediate PersistentVolumeClaims"
)

// Never says why a pod can go nowhere, whatever the nodes: something about its claims has to change first. "" when
// nothing has.
func Never(s *cluster.State, p *cluster.Pod) string {
	if s.Storage() == nil {
		return ""
	}
	for _, c := range p.Claims {
		if why := unusable(s.Storage(), p.Object, c); why != "" {
			return why
		}
	}
	for _, c := range p.Claims {
		claim := s.Storage().Claim(p.Object.Namespace, c.Name)
		if !binding.Bound(claim) && (claim.Spec.VolumeName != "" || !binding.Waits(s.Storage().Class(binding.ClassOf(claim)))) {
			return notBoundYet
		}
	}
	return ""
}

func unusable(s cluster.Storage, p *corev1.Pod, c cluster.Claim) string {
	switch claim := s.Claim(p.Namespace, c.Name); {
	case claim == nil && c.Own:
		return fmt.Sprintf("waiting for ephemeral volume controller to create the persistentvolumeclaim %q", c.Name)
	case claim == nil:
		return fmt.Sprintf("persistentvolumeclaim %q not found", c.Name)
	case claim.Status.Phase == corev1.ClaimLost:
		return fmt.Sprintf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", c.Name, claim.Spec.VolumeName)
	case claim.DeletionTimestamp != nil:
		return fmt.Sprintf("persistentvolumeclaim %q is being deleted", c.Name)
	case c.Own && !metav1.IsControlledBy(claim, p):
		return fmt.Sprintf("PVC %s/%s was not created for pod %s/%s (pod is not owner)", p.Namespace, c.Name, p.Namespace, p.Name)
	}
	return ""
}

// Volumes is what has to happen before a pod can be bound to a node.
type Volumes struct {
	Reserve   []Reservation
	Provision []*corev1.PersistentVolumeClaim // volumes are to be made on the node
}

// Reservation of a volume that exists.
type Reservation struct {
	Claim  *corev1.PersistentVolumeClaim
	Volume *corev1.PersistentVolume
}

// None is whether all volumes are there.
func (v *Volumes) None() bool { return len(v.Reserve)+len(v.Provision) == 0 }

// Plan finds a pod's volumes on a node. The pod passes Never.
func Plan(s *cluster.State, p *cluster.Pod, n *cluster.Node) (out Volumes, v Verdict) {
	if len(p.Claims) == 0 || s.Storage() == nil {
		return out, v
	}
	var open []*corev1.PersistentVolumeClaim
	for _, c := range p.Claims {
		claim := s.Storage().Claim(p.Object.Namespace, c.Name)
		switch {
		case claim == nil:
			return out, Verdict{noVolume, true}
		case !binding.Bound(claim):
			open = append(open, claim)
			continue
		}
		volume := s.Storage().Volume(claim.Spec.VolumeName)
		switch {
		case volume == nil:
			return out, Verdict{vanished, true}
		case !binding.Reaches(volume, n.Object):
			return out, Verdict{elsewhere, true}
		}
	}
	slices.SortStableFunc(open, func(a, b *corev1.PersistentVolumeClaim) int { // small ones must not take the large volumes
		x, y := a.Spec.Resources.Requests[corev1.ResourceStorage], b.Spec.Resources.Requests[corev1.ResourceStorage]
		return x.Cmp(y)
	})
	for _, claim := range open {
		if !out.place(s, p, n, claim) {
			return Volumes{}, Verdict{noVolume, true}
		}
	}
	return out, v
}

// place finds or orders one volume.
func (v *Volumes) place(s *cluster.State, p *cluster.Pod, n *cluster.Node, claim *corev1.PersistentVolumeClaim) bool {
	if chosen := claim.Annotations[binding.SelectedNode]; chosen != "" && chosen != n.Object.Name && s.Node(chosen) != nil {
		return false // its volume may be there any moment
	}
	best := binding.Best(binding.Search{Claim: claim, On: n.Object, Taken: func(name string) bool {
		return s.Promised(name, p.Object.UID) || slices.ContainsFunc(v.Reserve, func(r Reservation) bool { return r.Volume.Name == name })
	}}, s.Storage().Suitable(claim))
	if best != nil {
		v.Reserve = append(v.Reserve, Reservation{claim, best})
		return true
	}
	class := s.Storage().Class(binding.ClassOf(claim))
	if class == nil || class.Provisioner == "" || class.Provisioner == binding.NoProvisioner || !within(class, n.Object) {
		return false
	}
	v.Provision = append(v.Provision, claim)
	return true
}

// within is whether a class may make volumes on a node.
func within(class *storagev1.StorageClass, n *corev1.Node) bool {
	if len(class.AllowedTopologies) == 0 {
		return true
	}
	for _, t := range class.AllowedTopologies {
		var terms []corev1.NodeSelectorRequirement
		for _, e := range t.MatchLabelExpressions {
			terms = append(terms, corev1.NodeSelectorRequirement{Key: e.Key, Operator: corev1.NodeSelectorOpIn, Values: e.Values})
		}
		selector, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: terms}}})
		if err == nil && (len(terms) == 0 || selector.Match(n)) {
			return true
		}
	}
	return false
}

func volumes(s *cluster.State, p *cluster.Pod) Test {
	if len(p.Claims) == 0 || s.Storage() == nil {
		return nil
	}
	return func(n *cluster.Node) Verdict {
		_, v := Plan(s, p, n)
		return v
	}
}

// onePod: a claim with ReadWriteOncePod serves one pod in the whole cluster (KEP-2485).
func onePod(s *cluster.State, p *cluster.Pod) Test {
	if s.Storage() == nil {
		return nil
	}
	for _, c := range p.Claims {
		claim := s.Storage().Claim(p.Object.Namespace, c.Name)
		if claim != nil && slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod) && s.Users(p.Object.Namespace, c.Name) > 0 {
			return func(*cluster.Node) Verdict { return Verdict{Reason: inUse} }
		}
	}
	return nil
}
