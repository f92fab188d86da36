package garbage

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// owned is how an object's owners are.
type owned struct {
	solid   []metav1.OwnerReference // exist
	absent  []types.UID
	waiting []types.UID // exist and wait for this object's end
}

type verdict struct {
	delete metav1.DeletionPropagation // empty: do not
	unlink []types.UID                // owners to strike off
	yield  bool                       // let owners go first: they wait for this object, and it for them
}

// judge says what becomes of n, which is not being deleted.
func judge(n *node, deps []node, o owned) verdict {
	switch {
	case len(n.owners) == 0 || len(o.absent)+len(o.waiting) == 0:
		return verdict{}
	case len(o.solid) > 0:
		return verdict{unlink: slices.Concat(o.absent, o.waiting)}
	case len(o.waiting) > 0 && len(deps) > 0:
		return verdict{delete: metav1.DeletePropagationForeground, yield: slices.ContainsFunc(deps, func(d node) bool { return d.waiting() })}
	case n.orphan:
		return verdict{delete: metav1.DeletePropagationOrphan}
	case n.foreground:
		return verdict{delete: metav1.DeletePropagationForeground}
	}
	return verdict{delete: metav1.DeletePropagationBackground}
}

// blocking are the dependents that n, deleted in the foreground, waits for.
func blocking(n *node, deps []node) (out []types.UID) {
	for _, d := range deps {
		for _, ref := range d.owners {
			if ref.UID == n.uid && blocks(ref) {
				out = append(out, d.uid)
			}
		}
	}
	return out
}
