package nodelife

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of nodes' lives; its keys are nodes. Use New.
type Controller struct {
	*controller.Loop
	nodes  client.Cache[*corev1.Node]
	pods   client.Cache[*corev1.Pod]
	api    client.Client[*corev1.Node]
	podAPI client.Client[*corev1.Pod]

	mu    sync.Mutex
	heard map[string]time.Time // by this clock: those of nodes may be wrong
}

const byNode = "node"

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		nodes: client.CacheOf[*corev1.Node](d.Caches), pods: client.CacheOf[*corev1.Pod](d.Caches),
		api: client.For[*corev1.Node](d.Conn), podAPI: client.For[*corev1.Pod](d.Conn), heard: map[string]time.Time{},
	}
	c.Loop = controller.NewLoop(d, "node-controller", c.sync)
	c.pods.Index(byNode, func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} })
	c.nodes.Subscribe(c.nodeChanged)
	c.pods.Subscribe(func(old, p *corev1.Pod) {
		if p != nil && p.Spec.NodeName != "" && (old == nil || old.Spec.NodeName == "") {
			c.Add(controller.Key{Name: p.Spec.NodeName})
		}
	})
	leases := client.CacheOf[*coordinationv1.Lease](d.Caches, client.Namespace(corev1.NamespaceNodeLease))
	leases.Subscribe(func(_, l *coordinationv1.Lease) {
		if l != nil {
			c.hear(l.Name)
		}
	})
	return c
}

func (c *Controller) hear(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard[node] = time.Now()
}

func (c *Controller) nodeChanged(old, n *corev1.Node) {
	switch {
	case n == nil:
		c.mu.Lock()
		delete(c.heard, old.Name)
		c.mu.Unlock()
		return
	case old == nil || beat(old) != beat(n):
		c.hear(n.Name)
	}
	c.AddObject(n)
}

// beat changes when a kubelet writes its node's status.
func beat(n *corev1.Node) metav1.Time {
	if c := condition(n, corev1.NodeReady); c != nil {
		return c.LastHeartbeatTime
	}
	return metav1.Time{}
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	n, ok := c.nodes.Get("", key.Name)
	if !ok {
		return nil
	}
	c.mu.Lock()
	heard, ok := c.heard[key.Name]
	c.mu.Unlock()
	if !ok {
		return nil
	}
	now := time.Now()
	status, again := silent(n, heard, now)
	if !again.IsZero() {
		c.AddAfter(key, again.Sub(now))
	}
	if status != nil {
		next := n.DeepCopy()
		next.Status = *status
		c.Event(n, corev1.EventTypeNormal, "NodeNotReady", "Node %s status is now: NodeNotReady", n.Name)
		_, err := c.api.UpdateStatus(ctx, next)
		return ignoreGone(err) // its event brings us back
	}
	if want := taints(n, now); !equality.Semantic.DeepEqual(want, n.Spec.Taints) {
		next := n.DeepCopy()
		next.Spec.Taints = want
		_, err := c.api.Update(ctx, next)
		return ignoreGone(err)
	}
	if r := condition(n, corev1.NodeReady); r != nil && r.Status != corev1.ConditionTrue {
		if err := c.unready(ctx, n.Name); err != nil {
			return err
		}
	}
	return c.evict(ctx, n, now)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// unready takes the pods of a node that is not ready out of their services.
func (c *Controller) unready(ctx context.Context, node string) error {
	for _, p := range c.pods.By(byNode, node) {
		if !controller.PodReady(p) {
			continue
		}
		_, err := client.MutateStatus(ctx, c.podAPI, p.Namespace, p.Name, func(now *corev1.Pod) error {
			if r := controller.PodCondition(now, corev1.PodReady); r != nil && r.Status == corev1.ConditionTrue {
				r.Status, r.LastTransitionTime = corev1.ConditionFalse, metav1.Now()
			}
			return nil
		})
		if err := ignoreGone(err); err != nil {
			return fmt.Errorf("mark pod %s not ready: %w", p.Name, err)
		}
	}
	return nil
}

func (c *Controller) evict(ctx context.Context, n *corev1.Node, now time.Time) error {
	if !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute }) {
		return nil
	}
	for _, p := range c.pods.By(byNode, n.Name) {
		at, evict := eviction(p, n.Spec.Taints, now)
		switch {
		case !evict || p.DeletionTimestamp != nil || controller.PodFinished(p):
		case at.After(now):
			c.AddAfter(controller.KeyOf(n), at.Sub(now))
		default:
			if err := c.remove(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Controller) remove(ctx context.Context, p *corev1.Pod) error {
	c.Event(p, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod %s/%s", p.Namespace, p.Name)
	_, err := client.MutateStatus(ctx, c.podAPI, p.Namespace, p.Name, func(now *corev1.Pod) error {
		if controller.PodCondition(now, corev1.DisruptionTarget) == nil {
			now.Status.Conditions = append(now.Status.Conditions, corev1.PodCondition{
				Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: evictReason, Message: evictMessage, LastTransitionTime: metav1.Now(),
			})
		}
		return nil
	})
	if err == nil {
		err = c.podAPI.Delete(ctx, p.Namespace, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
	}
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("evict pod %s: %w", p.Name, err)
}
