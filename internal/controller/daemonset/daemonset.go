package daemonset

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

var kind = appsv1.SchemeGroupVersion.WithKind("DaemonSet") // never changed

// Controller of DaemonSets. Use New.
type Controller struct {
	*controller.Loop
	sets      client.Cache[*appsv1.DaemonSet]
	pods      *controller.Pods
	nodes     client.Cache[*corev1.Node]
	api       client.Client[*appsv1.DaemonSet]
	revisions controller.Revisions
	failing   controller.Backoff
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		sets: client.CacheOf[*appsv1.DaemonSet](d.Caches), nodes: client.CacheOf[*corev1.Node](d.Caches), api: client.For[*appsv1.DaemonSet](d.Conn),
		revisions: controller.NewRevisions(d, kind), failing: controller.Backoff{First: time.Second, Last: 15 * time.Minute},
	}
	c.Loop = controller.NewLoop(d, "daemonset-controller", c.sync)
	c.pods = controller.NewPods(d, c.Loop, kind)
	controller.Changed(c.Loop, c.sets)
	c.nodes.Subscribe(func(old, n *corev1.Node) {
		if old != nil && n != nil && maps.Equal(old.Labels, n.Labels) && equality.Semantic.DeepEqual(old.Spec.Taints, n.Spec.Taints) {
			return
		}
		for _, ds := range c.sets.List() {
			c.AddObject(ds)
		}
	})
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	ds, ok := c.sets.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(ds.Spec.Selector)
	if err != nil || selector.Empty() {
		c.Event(ds, corev1.EventTypeWarning, "SelectingAll", "This daemon set is selecting all pods. A non-empty selector is required.")
		return nil
	}
	alive := controller.Alive(ctx, c.api, ds)
	pods, err := controller.Owned(c.pods.Cache, ds, selector).Settle(ctx, c.pods.API, controller.RefTo(ds, kind), alive)
	if err != nil {
		return err
	}
	history, err := c.revisions.Of(ctx, ds, selector, alive)
	if err != nil {
		return err
	}
	v := view{ds: ds, nodes: c.nodes.List(), pods: pods, now: time.Now()}
	collisions := ds.Status.CollisionCount
	if ds.DeletionTimestamp == nil {
		newest, n, err := c.revisions.Newest(ctx, ds, &ds.Spec.Template, history, collisions)
		if err != nil {
			return err
		}
		v.hash, collisions = newest.Labels[appsv1.DefaultDaemonSetUniqueLabelKey], n
	}
	behind := c.pods.Behind(key)
	v.hold = func(node string) time.Duration {
		if behind { // nothing will be tried
			return 0
		}
		return c.failing.Try(string(ds.UID)+"/"+strconv.FormatInt(ds.Generation, 10)+"/"+node, v.now)
	}
	p := decide(v)
	p.status.CollisionCount = collisions
	if p.again > 0 {
		c.AddAfter(key, p.again)
	}
	if !behind {
		err = c.apply(ctx, ds, v.hash, p)
	}
	return errors.Join(err, c.writeStatus(ctx, ds, p.status), c.forget(ctx, ds, history, pods, v.hash))
}

func (c *Controller) writeStatus(ctx context.Context, ds *appsv1.DaemonSet, s appsv1.DaemonSetStatus) error {
	if equality.Semantic.DeepEqual(ds.Status, s) {
		return nil
	}
	next := ds.DeepCopy()
	next.Status = s
	return controller.WriteStatus(ctx, c.api, next)
}

func (c *Controller) forget(ctx context.Context, ds *appsv1.DaemonSet, history []*appsv1.ControllerRevision, pods []*corev1.Pod, hash string) error {
	if ds.DeletionTimestamp != nil {
		return nil
	}
	used := map[string]bool{hash: true}
	for _, p := range pods {
		used[p.Labels[appsv1.DefaultDaemonSetUniqueLabelKey]] = true
	}
	return c.revisions.Forget(ctx, history, ds.Spec.RevisionHistoryLimit, used)
}

func (c *Controller) apply(ctx context.Context, ds *appsv1.DaemonSet, hash string, p plan) error {
	if _, err := controller.Parallel(len(p.delete), func(i int) error { return c.remove(ctx, ds, p.delete[i]) }); err != nil {
		return err
	}
	_, err := controller.SlowStart(len(p.create), func(i int) error { return c.create(ctx, ds, hash, p.create[i]) })
	return err
}

func (c *Controller) create(ctx context.Context, ds *appsv1.DaemonSet, hash, on string) error {
	p := controller.PodFrom(&ds.Spec.Template, ds.Namespace, controller.RefTo(ds, kind))
	metav1.SetMetaDataLabel(&p.ObjectMeta, appsv1.DefaultDaemonSetUniqueLabelKey, hash)
	tolerate(&p.Spec)
	pin(&p.Spec, on)
	return c.pods.Create(ctx, ds, p)
}

func (c *Controller) remove(ctx context.Context, ds *appsv1.DaemonSet, p *corev1.Pod) error {
	switch p.Status.Phase {
	case corev1.PodFailed:
		c.Event(ds, corev1.EventTypeWarning, "FailedDaemonPod", "Found failed daemon pod %s/%s on node %s, will try to kill it", p.Namespace, p.Name, p.Spec.NodeName)
	case corev1.PodSucceeded:
		c.Event(ds, corev1.EventTypeNormal, "SucceededDaemonPod", "Found succeeded daemon pod %s/%s on node %s, will try to delete it", p.Namespace, p.Name, p.Spec.NodeName)
	}
	return c.pods.Remove(ctx, ds, p)
}
