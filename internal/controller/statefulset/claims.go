package statefulset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/controller"
)

// How long claims live is said by who owns them (KEP-1847):
//
//	whenDeleted  whenScaled   pod wanted   pod to be scaled away
//	Retain       Retain       nobody       nobody
//	Delete       Retain       the set      the set
//	Retain       Delete       nobody       the pod
//	Delete       Delete       the set      the pod

// claimFinder looks a claim up by name; nil when there is none.
type claimFinder func(name string) *corev1.PersistentVolumeClaim

// deletes is whether claims go with the set, and with a pod that is scaled away.
func deletes(set *appsv1.StatefulSet) (whenDeleted, whenScaled bool) {
	r := set.Spec.PersistentVolumeClaimRetentionPolicy
	if r == nil {
		return false, false
	}
	const del = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	return r.WhenDeleted == del, r.WhenScaled == del
}

// owners of a claim as the policy wants them, besides those that are none of ours.
func owners(set *appsv1.StatefulSet, p *corev1.Pod) []metav1.OwnerReference {
	whenDeleted, whenScaled := deletes(set)
	wanted := inRange(set, ordinal(p))
	var out []metav1.OwnerReference
	if whenDeleted && (wanted || !whenScaled) {
		out = append(out, controller.RefTo(set, kind))
	}
	if whenScaled && !wanted {
		out = append(out, controller.RefTo(p, podKind))
	}
	return out
}

func names(ref *metav1.OwnerReference, o metav1.Object, k schema.GroupVersionKind) bool {
	return ref.Kind == k.Kind && ref.Name == o.GetName() && ref.APIVersion == k.GroupVersion().String()
}

// stale is whether a claim belongs to a former object of that name, and is about to go with it.
func stale(c *corev1.PersistentVolumeClaim, o metav1.Object, k schema.GroupVersionKind) bool {
	return slices.ContainsFunc(c.OwnerReferences, func(ref metav1.OwnerReference) bool { return names(&ref, o, k) && ref.UID != o.GetUID() })
}

// reowned is c with the owners it should have, or nil if it has them. conflict is that somebody else controls it: then
// it is left to them.
func reowned(set *appsv1.StatefulSet, p *corev1.Pod, c *corev1.PersistentVolumeClaim) (next *corev1.PersistentVolumeClaim, conflict bool) {
	if stale(c, set, kind) || stale(c, p, podKind) {
		return nil, false
	}
	var refs, ours []metav1.OwnerReference
	for _, ref := range c.OwnerReferences {
		if names(&ref, set, kind) || names(&ref, p, podKind) {
			ours = append(ours, ref)
			continue
		}
		conflict = conflict || ref.Controller != nil && *ref.Controller
		refs = append(refs, ref)
	}
	want := owners(set, p)
	whenDeleted, whenScaled := deletes(set)
	if conflict = conflict && (whenDeleted || whenScaled); conflict {
		want = nil
	}
	if same(ours, want) {
		return nil, conflict
	}
	next = c.DeepCopy()
	next.OwnerReferences = append(refs, want...)
	return next, conflict
}

// same is whether two short lists hold the same references.
func same(a, b []metav1.OwnerReference) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x metav1.OwnerReference) bool {
		return !slices.ContainsFunc(b, func(y metav1.OwnerReference) bool { return equality.Semantic.DeepEqual(x, y) })
	})
}
