// Package podgc removes pods that nobody else will: those of nodes that are
// gone, those that were never scheduled and are to be deleted, and the oldest
// of too many that have ended.
package podgc

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

const (
	threshold  = 12500            // ended pods that may stay
	quarantine = 40 * time.Second // between a node's vanishing and the end of its pods
)

// Controller of stray pods; it has two keys, one for a look at all and one a node that vanished. Use New.
type Controller struct {
	*controller.Loop
	pods  client.Cache[*corev1.Pod]
	nodes client.Cache[*corev1.Node]
	api   client.Client[*corev1.Pod]
	node  client.Client[*corev1.Node]
	max   int
}

const byNode = "node"

var everything = controller.Key{Name: "ended"} // never changed

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{pods: client.CacheOf[*corev1.Pod](d.Caches), nodes: client.CacheOf[*corev1.Node](d.Caches), api: client.For[*corev1.Pod](d.Conn), node: client.For[*corev1.Node](d.Conn), max: threshold}
	c.Loop = controller.NewLoop(d, "pod-garbage-collector", c.sync)
	c.Workers = 1
	c.pods.Index(byNode, func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} })
	c.pods.Subscribe(func(old, p *corev1.Pod) {
		switch {
		case p == nil:
		case stuck(p):
			c.AddObject(p)
		case p.Spec.NodeName != "" && (old == nil || old.Spec.NodeName == ""):
			if _, ok := c.nodes.Get("", p.Spec.NodeName); !ok {
				c.AddAfter(nodeKey(p.Spec.NodeName), quarantine)
			}
		}
		if p != nil && controller.PodFinished(p) && (old == nil || !controller.PodFinished(old)) {
			c.Add(everything)
		}
	})
	c.nodes.Subscribe(func(old, n *corev1.Node) {
		if n == nil {
			c.AddAfter(nodeKey(old.Name), quarantine)
		}
	})
	return c
}

// stuck pods wait for a node to stop them, and never had one. Those that were removed and have finalizers are left alone.
func stuck(p *corev1.Pod) bool {
	return p.Spec.NodeName == "" && p.DeletionTimestamp != nil && (p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds > 0)
}

// Keys: pods have a namespace; nodes have this one, which no namespace can be called; everything has none.
func nodeKey(name string) controller.Key { return controller.Key{Namespace: "/node", Name: name} }

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	switch {
	case key == everything:
		return c.ended(ctx)
	case key.Namespace == "/node":
		return c.orphaned(ctx, key.Name)
	}
	if p, ok := c.pods.Get(key.Namespace, key.Name); ok && stuck(p) {
		return c.remove(ctx, p)
	}
	return nil
}

// ended removes the oldest pods beyond the threshold.
func (c *Controller) ended(ctx context.Context) error {
	var all []*corev1.Pod
	if c.pods.Len() <= c.max {
		return nil
	}
	for _, p := range c.pods.List() {
		if controller.PodFinished(p) && p.DeletionTimestamp == nil {
			all = append(all, p)
		}
	}
	if len(all) <= c.max {
		return nil
	}
	slices.SortFunc(all, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, p := range all[:len(all)-c.max] {
		if err := c.remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// orphaned fails and removes the pods of a node that the server does not know either.
func (c *Controller) orphaned(ctx context.Context, node string) error {
	if _, ok := c.nodes.Get("", node); ok {
		return nil
	}
	if _, err := c.node.Get(ctx, "", node); !apierrors.IsNotFound(err) {
		return err
	}
	for _, p := range c.pods.By(byNode, node) {
		if !controller.PodFinished(p) {
			if err := c.fail(ctx, p); err != nil {
				return err
			}
		}
		if err := c.remove(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// fail marks a pod so that its owner counts it as disrupted, not as having failed by itself.
func (c *Controller) fail(ctx context.Context, p *corev1.Pod) error {
	_, err := client.MutateStatus(ctx, c.api, p.Namespace, p.Name, func(now *corev1.Pod) error {
		now.Status.Phase = corev1.PodFailed
		if controller.PodCondition(now, corev1.DisruptionTarget) == nil {
			now.Status.Conditions = append(now.Status.Conditions, corev1.PodCondition{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByPodGC",
				Message: "PodGC: node no longer exists", LastTransitionTime: metav1.Now(),
			})
		}
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (c *Controller) remove(ctx context.Context, p *corev1.Pod) error {
	zero := int64(0)
	err := c.api.Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &p.UID}})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("remove pod %s: %w", p.Name, err)
}
