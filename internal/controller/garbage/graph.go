// Package garbage deletes what has lost its owners, and lets owners go before
// or after their dependents as their deleters asked.
//
// graph.go knows who owns whom, decide.go what follows from it, garbage.go does it. Read graph.go first.
package garbage

import (
	"maps"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/x/shrink"
)

// node is one object, or only the word of its dependents that it exists (kind is nil then).
type node struct {
	uid             types.UID
	kind            *api.Kind
	namespace, name string
	owners          []metav1.OwnerReference
	deleting        bool
	foreground      bool // has the finalizer foregroundDeletion
	orphan          bool // has the finalizer orphan
	dependents      shrink.Map[types.UID, *node]
}

// waiting is whether n is being deleted after its dependents.
func (n *node) waiting() bool { return n.deleting && n.foreground }

// graph is who owns whom. It is safe for concurrent use.
type graph struct {
	mu    sync.Mutex
	nodes shrink.Map[types.UID, *node]
}

func newGraph() *graph { return &graph{} }

func (g *graph) at(uid types.UID) *node {
	n, ok := g.nodes.Get(uid)
	if !ok {
		n = &node{uid: uid}
		g.nodes.Set(uid, n)
	}
	return n
}

// put notes an object as it is now. It returns who should be looked at because of that.
func (g *graph) put(k *api.Kind, o api.Object) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.at(o.GetUID())
	fresh := n.kind == nil
	was := *n
	n.kind, n.namespace, n.name = k, o.GetNamespace(), o.GetName()
	n.note(o)
	look = g.relink(n, was.owners)
	if n.deleting && (n.foreground || n.orphan) && (fresh || !was.deleting || was.foreground != n.foreground || was.orphan != n.orphan) {
		look = append(look, n.uid)
		if n.foreground {
			look = append(look, slices.Collect(maps.Keys(n.dependents.All()))...)
		}
	}
	return look
}

// note takes over what o says of its owners and its end.
func (n *node) note(o api.Object) {
	n.owners = o.GetOwnerReferences()
	n.deleting = o.GetDeletionTimestamp() != nil
	n.foreground = slices.Contains(o.GetFinalizers(), metav1.FinalizerDeleteDependents)
	n.orphan = slices.Contains(o.GetFinalizers(), metav1.FinalizerOrphanDependents)
}

// relink moves n from its old to its new owners.
func (g *graph) relink(n *node, old []metav1.OwnerReference) (look []types.UID) {
	for _, ref := range old {
		if i := slices.IndexFunc(n.owners, func(r metav1.OwnerReference) bool { return r.UID == ref.UID }); i >= 0 {
			if blocks(ref) && !blocks(n.owners[i]) {
				look = append(look, ref.UID)
			}
			continue
		}
		if owner, ok := g.nodes.Get(ref.UID); ok {
			owner.dependents.Delete(n.uid)
			g.prune(owner)
			if owner.waiting() {
				look = append(look, owner.uid)
			}
		}
	}
	for _, ref := range n.owners {
		owner := g.at(ref.UID)
		if _, known := owner.dependents.Get(n.uid); !known && (owner.kind == nil || owner.waiting()) {
			look = append(look, n.uid)
		}
		owner.dependents.Set(n.uid, n)
	}
	return look
}

func blocks(r metav1.OwnerReference) bool {
	return r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion
}

// drop notes that an object is gone.
func (g *graph) drop(uid types.UID) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, _ := g.nodes.Get(uid)
	if n == nil {
		return nil
	}
	look = slices.Collect(maps.Keys(n.dependents.All()))
	owners := n.owners
	n.kind, n.owners, n.deleting, n.foreground, n.orphan = nil, nil, false, false, false
	look = append(look, g.relink(n, owners)...)
	g.prune(n)
	return look
}

// prune forgets a node that is neither an object nor anybody's owner.
func (g *graph) prune(n *node) {
	if n.kind == nil && n.dependents.Len() == 0 {
		g.nodes.Delete(n.uid)
	}
}

// snapshot is a copy of a node and of its dependents, safe to read without the lock; nil when it is no object.
func (g *graph) snapshot(uid types.UID) (*node, []node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, _ := g.nodes.Get(uid)
	if n == nil || n.kind == nil {
		return nil, nil
	}
	c := *n
	c.dependents = shrink.Map[types.UID, *node]{}
	var deps []node
	for _, d := range n.dependents.All() {
		dc := *d
		dc.dependents = shrink.Map[types.UID, *node]{}
		deps = append(deps, dc)
	}
	return &c, deps
}

// owner says what the graph knows of an object named as owner.
func (g *graph) owner(uid types.UID) (known, waiting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, _ := g.nodes.Get(uid)
	if n == nil || n.kind == nil {
		return false, false
	}
	return true, n.waiting()
}
