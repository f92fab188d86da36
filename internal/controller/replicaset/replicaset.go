package replicaset

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	kind    kind[T]
	sets    client.Cache[T]
	pods    client.Cache[*corev1.Pod]
	setAPI  client.Client[T]
	podAPI  client.Client[*corev1.Pod]
	pending *controller.Pending
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
	c := &Controller[T]{
		kind: k, sets: client.CacheOf[T](d.Caches), pods: client.CacheOf[*corev1.Pod](d.Caches),
		setAPI: client.For[T](d.Conn), podAPI: client.For[*corev1.Pod](d.Conn),
	}
	c.Loop = controller.NewLoop(d, k.name, c.sync)
	c.pending = controller.NewPending(c.pods)
	controller.IndexByOwner(c.pods)
	controller.IndexByOwner(c.sets)
	controller.Changed(c.Loop, c.sets)
	c.pods.Subscribe(c.podChanged)
	return c
}

func (c *Controller[T]) podChanged(old, p *corev1.Pod) {
	for _, o := range []*corev1.Pod{old, p} {
		if o == nil {
			continue
		}
		if k, ok := controller.OwnerKey(o, c.kind.gvk.GroupKind()); ok {
			c.Add(k)
		}
	}
	if p == nil || metav1.GetControllerOf(p) != nil || old != nil && equality.Semantic.DeepEqual(old.Labels, p.Labels) && metav1.GetControllerOf(old) == nil {
		return
	}
	// An orphan: whoever could adopt it should look.
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
	claim := controller.Owned(c.pods, set, selector)
	claim.Adopt = filter(claim.Adopt, controller.PodActive)
	mine, err := claim.Settle(ctx, c.podAPI, ref, controller.Alive(ctx, c.setAPI, set))
	if err != nil {
		return err
	}
	active := filter(mine, controller.PodActive)
	now := time.Now()
	var failure error
	if behind, again := c.pending.Any(key); behind {
		c.AddAfter(key, again)
	} else {
		failure = c.apply(ctx, key, set, rs, ref, decide(rs, active, c.related(rs, active), now))
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
		out = append(out, controller.Children(c.pods, s.GetUID())...)
	}
	return out
}

func (c *Controller[T]) apply(ctx context.Context, key controller.Key, set T, rs *appsv1.ReplicaSet, ref metav1.OwnerReference, p plan) error {
	if p.create > 0 {
		_, err := controller.SlowStart(p.create, func(int) error {
			return c.create(ctx, key, set, controller.PodFrom(&rs.Spec.Template, key.Namespace, ref))
		})
		return err
	}
	_, err := controller.Parallel(len(p.delete), func(i int) error { return c.remove(ctx, key, set, p.delete[i]) })
	return err
}

func (c *Controller[T]) create(ctx context.Context, key controller.Key, set T, pod *corev1.Pod) error {
	pod.Name = controller.Name(pod.GenerateName)
	name := controller.KeyOf(pod)
	c.pending.Creating(key, name)
	_, err := c.podAPI.Create(ctx, pod)
	if err == nil {
		c.Event(set, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", pod.Name)
		return nil
	}
	c.pending.NotCreated(name)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	c.Event(set, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
	return fmt.Errorf("create pod: %w", err)
}

func (c *Controller[T]) remove(ctx context.Context, key controller.Key, set T, pod *corev1.Pod) error {
	c.pending.Deleting(key, pod)
	err := c.podAPI.Delete(ctx, pod.Namespace, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	if err == nil {
		c.Event(set, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", pod.Name)
		return nil
	}
	c.pending.NotDeleted(pod)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another of that name
		return nil
	}
	c.Event(set, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
	return fmt.Errorf("delete pod %s: %w", pod.Name, err)
}

func (c *Controller[T]) writeStatus(ctx context.Context, set T, rs *appsv1.ReplicaSet, next appsv1.ReplicaSetStatus) error {
	if equality.Semantic.DeepEqual(rs.Status, next) {
		return nil
	}
	out := set.DeepCopyObject().(T)
	c.kind.status(out, next)
	_, err := c.setAPI.UpdateStatus(ctx, out)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
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
