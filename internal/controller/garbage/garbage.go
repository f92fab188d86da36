package garbage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Collector works on the UIDs of objects. Use New.
type Collector struct {
	*controller.Loop
	conn  client.Conn
	graph *graph
}

// New makes the collector over all kinds that can be listed and watched.
func New(d controller.Deps) *Collector {
	c := &Collector{conn: d.Conn, graph: newGraph()}
	c.Loop = controller.NewLoop(d, "garbage-collector-controller", c.sync)
	c.Workers = 10
	d.Caches.EachKind(collectable, func(v *client.View) func() {
		v.Subscribe(func(old, o api.Object) {
			if o == nil {
				c.look(c.graph.drop(old.GetUID()))
				return
			}
			c.look(c.graph.put(v.Kind(), o))
		})
		return nil
	})
	return c
}

// collectable are the kinds whose objects own and are owned.
func collectable(k *api.Kind) bool {
	return (k.Kind != "Event" || k.Custom != nil) && can(k, "list") && can(k, "watch") && can(k, "delete")
}

func can(k *api.Kind, verb string) bool { return k.Verbs == nil || slices.Contains(k.Verbs, verb) }

func (c *Collector) look(at []types.UID) {
	for _, uid := range at {
		c.Add(controller.Key{Name: string(uid)})
	}
}

func (c *Collector) sync(ctx context.Context, key controller.Key) error {
	n, deps := c.graph.snapshot(types.UID(key.Name))
	switch {
	case n == nil:
		return nil
	case n.deleting && n.orphan:
		return c.orphan(ctx, n, deps)
	case n.waiting():
		return c.foreground(ctx, n, deps)
	case n.deleting || len(n.owners) == 0:
		return nil
	}
	n, version, err := c.fresh(ctx, n)
	if n == nil || err != nil {
		return err
	}
	o, err := c.owners(ctx, n)
	if err != nil {
		return err
	}
	v := judge(n, deps, o)
	if v.yield {
		if err := c.yield(ctx, n); err != nil {
			return err
		}
		if n, version, err = c.fresh(ctx, n); n == nil || err != nil {
			return err
		}
	}
	if v.delete != "" {
		return c.delete(ctx, n, version, v.delete)
	}
	return c.unlink(ctx, n, v.unlink)
}

// fresh is n as the server has it, and the version of that; nil when it is gone or going. Kinds are watched apart: an owner's
// end can be seen before it is seen that the owner had let n go.
func (c *Collector) fresh(ctx context.Context, n *node) (*node, string, error) {
	o, err := c.conn.Get(ctx, n.kind, n.namespace, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read %s %s/%s: %w", n.kind.Kind, n.namespace, n.name, err)
	}
	if o.GetUID() != n.uid || o.GetDeletionTimestamp() != nil {
		return nil, "", nil
	}
	now := *n
	now.note(o)
	return &now, o.GetResourceVersion(), nil
}

// owners finds out how n's owners are: from the graph, or from the server for those it does not have.
func (c *Collector) owners(ctx context.Context, n *node) (owned, error) {
	var out owned
	for _, ref := range n.owners {
		known, waiting := c.graph.owner(ref.UID)
		if !known {
			var err error
			if known, waiting, err = c.live(ctx, n, ref); err != nil {
				return out, fmt.Errorf("look for owner %s %s: %w", ref.Kind, ref.Name, err)
			}
		}
		switch {
		case !known:
			out.absent = append(out.absent, ref.UID)
		case waiting:
			out.waiting = append(out.waiting, ref.UID)
		default:
			out.solid = append(out.solid, ref)
		}
	}
	return out, nil
}

// live asks the server for an owner. One of a kind that is not served is taken to exist.
func (c *Collector) live(ctx context.Context, n *node, ref metav1.OwnerReference) (known, waiting bool, err error) {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	k := c.conn.Registry().Kind(gv.WithKind(ref.Kind).GroupKind())
	if err != nil || k == nil {
		return true, false, nil
	}
	if k.Namespaced && n.namespace == "" {
		if o, err := c.conn.Get(ctx, n.kind, "", n.name, metav1.GetOptions{}); err == nil {
			c.Event(o, corev1.EventTypeWarning, "OwnerRefInvalidNamespace", "ownerRef [%s/%s, namespace: , name: %s, uid: %s] does not exist in namespace %q", ref.APIVersion, ref.Kind, ref.Name, ref.UID, "")
		}
		return true, false, nil
	}
	namespace := n.namespace
	if !k.Namespaced {
		namespace = ""
	}
	o, err := c.conn.Get(ctx, k, namespace, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, false, nil
	case err != nil:
		return false, false, err
	case o.GetUID() != ref.UID:
		return false, false, nil
	}
	return true, o.GetDeletionTimestamp() != nil && slices.Contains(o.GetFinalizers(), metav1.FinalizerDeleteDependents), nil
}

// foreground lets n go once nothing blocks it, and sees to it that what blocks it goes.
func (c *Collector) foreground(ctx context.Context, n *node, deps []node) error {
	if b := blocking(n, deps); len(b) > 0 {
		c.look(b)
		return nil
	}
	return c.release(ctx, n, metav1.FinalizerDeleteDependents)
}

func (c *Collector) orphan(ctx context.Context, n *node, deps []node) error {
	for i := range deps {
		if err := c.unlink(ctx, &deps[i], []types.UID{n.uid}); err != nil {
			return err
		}
	}
	return c.release(ctx, n, metav1.FinalizerOrphanDependents)
}

// delete ends n as it was at a version: somebody may give it a new owner, or take it from its last, at this moment.
func (c *Collector) delete(ctx context.Context, n *node, version string, p metav1.DeletionPropagation) error {
	err := c.conn.Delete(ctx, n.kind, n.namespace, n.name, metav1.DeleteOptions{
		PropagationPolicy: &p, Preconditions: &metav1.Preconditions{UID: &n.uid, ResourceVersion: &version}})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("delete %s %s/%s: %w", n.kind.Kind, n.namespace, n.name, err)
}

// unlink strikes owners off n's list.
func (c *Collector) unlink(ctx context.Context, n *node, owners []types.UID) error {
	if len(owners) == 0 {
		return nil
	}
	return c.patch(ctx, n, func(o api.Object) map[string]any {
		left := slices.DeleteFunc(slices.Clone(o.GetOwnerReferences()), func(r metav1.OwnerReference) bool { return slices.Contains(owners, r.UID) })
		if len(left) == len(o.GetOwnerReferences()) {
			return nil
		}
		return map[string]any{"ownerReferences": left}
	})
}

// yield makes n's owners no longer wait for it. It opens circles of owners; what only looks like one loses no more
// than the order of its deletion, as upstream.
func (c *Collector) yield(ctx context.Context, n *node) error {
	return c.patch(ctx, n, func(o api.Object) map[string]any {
		refs := slices.Clone(o.GetOwnerReferences())
		if !slices.ContainsFunc(refs, blocks) {
			return nil
		}
		no := false
		for i := range refs {
			refs[i].BlockOwnerDeletion = &no
		}
		return map[string]any{"ownerReferences": refs}
	})
}

// release takes a finalizer off n.
func (c *Collector) release(ctx context.Context, n *node, finalizer string) error {
	return c.patch(ctx, n, func(o api.Object) map[string]any {
		left := slices.DeleteFunc(slices.Clone(o.GetFinalizers()), func(f string) bool { return f == finalizer })
		if len(left) == len(o.GetFinalizers()) {
			return nil
		}
		return map[string]any{"finalizers": left}
	})
}

// patch changes metadata of the object as the server has it; the version makes a race with others fail and come again.
func (c *Collector) patch(ctx context.Context, n *node, change func(api.Object) map[string]any) error {
	o, err := c.conn.Get(ctx, n.kind, n.namespace, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && o.GetUID() != n.uid {
		return nil
	}
	if err != nil {
		return err
	}
	m := change(o)
	if m == nil {
		return nil
	}
	m["resourceVersion"] = o.GetResourceVersion()
	doc, err := json.Marshal(map[string]any{"metadata": m})
	if err != nil {
		return err
	}
	_, err = c.conn.Patch(ctx, n.kind, n.namespace, n.name, "", types.MergePatchType, doc, metav1.PatchOptions{})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("patch %s %s/%s: %w", n.kind.Kind, n.namespace, n.name, err)
}
