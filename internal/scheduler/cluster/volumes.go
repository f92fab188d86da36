package cluster

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api/binding"
)

// Storage is what exists of volumes. Nil answers mean that there is no such object.
type Storage interface {
	Claim(namespace, name string) *corev1.PersistentVolumeClaim
	Volume(name string) *corev1.PersistentVolume
	Class(name string) *storagev1.StorageClass
	// Suitable are the free volumes of a claim's class, and those reserved for it.
	Suitable(*corev1.PersistentVolumeClaim) []*corev1.PersistentVolume
}

// Claim is one that a pod mounts.
type Claim struct {
	Name string
	Own  bool // made for the pod
}

func claimsOf(pod *corev1.Pod) (out []Claim) {
	for i := range pod.Spec.Volumes {
		if name, own := binding.ClaimOf(pod.Name, &pod.Spec.Volumes[i]); name != "" {
			out = append(out, Claim{name, own})
		}
	}
	return out
}

// Storage of the cluster; nil where nothing is known of volumes.
func (s *State) Storage() Storage { return s.storage }

// SetStorage says where volumes are found.
func (s *State) SetStorage(storage Storage) { s.storage = storage }

// Users is how many assigned pods mount a claim.
func (s *State) Users(namespace, claim string) int {
	return len(s.users[types.NamespacedName{Namespace: namespace, Name: claim}])
}

// Promise keeps volumes for an assigned pod until it is removed, or assigned again.
func (s *State) Promise(pod types.UID, volumes []string) {
	for _, name := range volumes {
		s.promised[name] = pod
	}
}

// Promised is whether a volume is kept for another pod.
func (s *State) Promised(volume string, pod types.UID) bool {
	uid, ok := s.promised[volume]
	return ok && uid != pod
}

// use notes that p mounts its claims; the reverse is leave.
func (s *State) use(p *Pod) {
	for _, c := range p.Claims {
		k := types.NamespacedName{Namespace: p.Object.Namespace, Name: c.Name}
		if s.users[k] == nil {
			s.users[k] = map[types.UID]bool{}
		}
		s.users[k][p.Object.UID] = true
	}
}

func (s *State) leave(p *Pod) {
	for _, c := range p.Claims {
		k := types.NamespacedName{Namespace: p.Object.Namespace, Name: c.Name}
		if delete(s.users[k], p.Object.UID); len(s.users[k]) == 0 {
			delete(s.users, k)
		}
	}
	if len(p.Claims) == 0 {
		return
	}
	for name, uid := range s.promised {
		if uid == p.Object.UID {
			delete(s.promised, name)
		}
	}
}
