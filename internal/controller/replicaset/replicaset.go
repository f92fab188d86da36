package replicaset

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// kind is the difference between the two kinds.
type kind[T api.Object] struct {
	name   string
	gvk    schema.GroupVersionKind
	view   func(T) *appsv1.ReplicaSet // may share memory with its argument
	status func(T, appsv1.ReplicaSetStatus)
}

// Controller of one of the two kinds. Use New or NewForReplicationControllers.
type Controller[T api.Object] struct {
	*controller.Loop
	kind   kind[T]
	sets   client.Cache[T]
	pods   *controller.Pods
	setAPI client.Client[T]
}

// New makes the controller of ReplicaSets.
func New(d controller.Deps) *Controller[*appsv1.ReplicaSet] {
	return build(d, kind[*appsv1.ReplicaSet]{
		name: "replicaset-controller", gvk: appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
		view:   func(rs *appsv1.ReplicaSet) *appsv1.ReplicaSet { return rs },
		status: func(rs *appsv1.ReplicaSet, s appsv1.ReplicaSetStatus) { rs.Status = s },
	})
}

// NewForReplicationControllers makes the controller of ReplicationControllers.
func NewForReplicationControllers(d controller.Deps) *Controller[*corev1.ReplicationController] {
	return build(d, kind[*corev1.ReplicationController]{
		name: "replication-controller", gvk: corev1.SchemeGroupVersion.WithKind("ReplicationController"),
		view: fromRC, status: toRC,
	})
}

func build[T api.Object](d controller.Deps, k kind[T]) *Controller[T] {
	c := &Controller[T]{kind: k, sets: client.CacheOf[T](d.Caches), setAPI: client.For[T](d.Conn)}
	c.Loop = controller.NewLoop(d, k.name, c.sync)
	c.pods = controller.NewPods(d, c.Loop, k.gvk)
	controller.IndexByOwner(c.sets)
	controller.Changed(c.Loop, c.sets)
	c.pods.Subscribe(c.podChanged)
	return c
}

// podChanged wakes the sets that could adopt an orphan.
func (c *Controller[T]) podChanged(old, p *corev1.Pod) {
	if p == nil || metav1.GetControllerOf(p) != nil || old != nil && equality.Semantic.DeepEqual(old.Labels, p.Labels) && metav1.GetControllerOf(old) == nil {
		return
	}
	for _, s := range c.sets.In(p.Namespace) {
		if sel, err := metav1.LabelSelectorAsSelector(c.kind.view(s).Spec.Selector); err == nil && !sel.Empty() && sel.Matches(labels.Set(p.Labels)) {
			c.AddObject(s)
		}
	}
}

func (c *Controller[T]) sync(ctx context.Context, key controller.Key) error {
	set, ok := c.sets.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	rs := c.kind.view(set)
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		c.Log().Warn("selector is invalid", "key", key, "err", err)
		return nil
	}
	ref := controller.RefTo(set, c.kind.gvk)
	claim := controller.Owned(c.pods.Cache, set, selector)
	claim.Adopt = filter(claim.Adopt, controller.PodActive)
	mine, err := claim.Settle(ctx, c.pods.API, ref, controller.Alive(ctx, c.setAPI, set))
	if err != nil {
		return err
	}
	active := filter(mine, controller.PodActive)
	now := time.Now()
	var failure error
	if !c.pods.Behind(key) {
		failure = c.apply(ctx, set, rs, ref, decide(rs, active, c.related(rs, active), now))
	}
	diff := len(active) - int(*rs.Spec.Replicas)
	next, again := status(rs, active, failure, diff, now)
	if again > 0 {
		c.AddAfter(key, again)
	}
	if err := c.writeStatus(ctx, set, rs, next); err != nil {
		return err
	}
	return failure
}

// related are the pods of all sets with the same owner.
func (c *Controller[T]) related(rs *appsv1.ReplicaSet, own []*corev1.Pod) []*corev1.Pod {
	ref := metav1.GetControllerOf(rs)
	if ref == nil || len(own) <= int(*rs.Spec.Replicas) {
		return own
	}
	var out []*corev1.Pod
	for _, s := range controller.Children(c.sets, ref.UID) {
		out = append(out, controller.Children(c.pods.Cache, s.GetUID())...)
	}
	return out
}

func (c *Controller[T]) apply(ctx context.Context, set T, rs *appsv1.ReplicaSet, ref metav1.OwnerReference, p plan) error {
	if p.create > 0 {
		_, err := controller.SlowStart(p.create, func(int) error {
			return c.pods.Create(ctx, set, controller.PodFrom(&rs.Spec.Template, set.GetNamespace(), ref))
		})
		return err
	}
	_, err := controller.Parallel(len(p.delete), func(i int) error { return c.pods.Remove(ctx, set, p.delete[i]) })
	return err
}

func (c *Controller[T]) writeStatus(ctx context.Context, set T, rs *appsv1.ReplicaSet, next appsv1.ReplicaSetStatus) error {
	if equality.Semantic.DeepEqual(rs.Status, next) {
		return nil
	}
	out := set.DeepCopyObject().(T)
	c.kind.status(out, next)
	return controller.WriteStatus(ctx, c.setAPI, out)
}

func filter(in []*corev1.Pod, keep func(*corev1.Pod) bool) []*corev1.Pod {
	out := make([]*corev1.Pod, 0, len(in))
	for _, p := range in {
		if keep(p) {
			out = append(out, p)
		}
	}
	return out
}
