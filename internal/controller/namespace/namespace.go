// Package namespace empties namespaces that are being deleted and lets them go.
package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Content that waits for something (a pod's grace, a finalizer) is looked at again after a time that grows from the
// first to the last of these. There is no event for "all kinds are empty".
const (
	againFirst = 100 * time.Millisecond
	againLast  = 15 * time.Second
)

// Controller of namespaces. Use New.
type Controller struct {
	*controller.Loop
	namespaces client.Cache[*corev1.Namespace]
	api        client.Client[*corev1.Namespace]
	conn       client.Conn
}

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{namespaces: client.CacheOf[*corev1.Namespace](d.Caches), api: client.For[*corev1.Namespace](d.Conn), conn: d.Conn}
	c.Loop = controller.NewLoop(d, "namespace-controller", c.sync)
	c.namespaces.Subscribe(func(_, ns *corev1.Namespace) {
		if ns != nil && ns.DeletionTimestamp != nil {
			c.AddObject(ns)
		}
	})
	return c
}

func isPods(k *api.Kind) bool { return k.Resource == "pods" && k.Hub().Group == "" }

// kinds are those whose objects live in namespaces, as they are now.
func (c *Controller) kinds() (out []*api.Kind) {
	for _, k := range c.conn.Registry().Kinds() {
		if k.Namespaced && can(k, "list") && can(k, "delete") {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b *api.Kind) int { return first(a) - first(b) })
	return out
}

// first orders pods before all else.
func first(k *api.Kind) int {
	if isPods(k) {
		return 0
	}
	return 1
}

func can(k *api.Kind, verb string) bool { return k.Verbs == nil || slices.Contains(k.Verbs, verb) }

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	ns, ok := c.namespaces.Get("", key.Name)
	if !ok || ns.DeletionTimestamp == nil || len(ns.Spec.Finalizers) == 0 {
		return nil
	}
	left, err := c.empty(ctx, key.Name)
	if ns, err2 := c.writeStatus(ctx, ns, left, err); err2 != nil || ns == nil {
		return err2
	}
	switch {
	case err != nil:
		return err
	case len(left) > 0:
		age := time.Since(ns.DeletionTimestamp.Time)
		c.AddAfter(key, min(againLast, max(againFirst, age/2)))
		return nil
	}
	return c.finalize(ctx, key.Name)
}

// remainder is what is left of one kind.
type remainder struct {
	kind  *api.Kind
	items []api.Object
}

// empty deletes everything and says what is still there. Nothing else goes before all pods have (KEP-5080): they may
// need it to end in peace, and a policy must not go before those it holds.
func (c *Controller) empty(ctx context.Context, ns string) ([]remainder, error) {
	var left []remainder
	var errs []error
	background := metav1.DeletePropagationBackground
	for _, k := range c.kinds() {
		l, err := c.conn.List(ctx, k, ns, metav1.ListOptions{})
		if err == nil && slices.ContainsFunc(l.Items, func(o api.Object) bool { return o.GetDeletionTimestamp() == nil }) {
			if err = c.conn.DeleteCollection(ctx, k, ns, metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{}); err == nil {
				l, err = c.conn.List(ctx, k, ns, metav1.ListOptions{})
			}
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsMethodNotSupported(err) {
			errs = append(errs, fmt.Errorf("delete all %s: %w", k.Resource, err))
			if isPods(k) {
				break
			}
			continue
		}
		if len(l.Items) > 0 {
			left = append(left, remainder{k, l.Items})
			if isPods(k) {
				break
			}
		}
	}
	return left, errors.Join(errs...)
}

func (c *Controller) writeStatus(ctx context.Context, ns *corev1.Namespace, left []remainder, failure error) (*corev1.Namespace, error) {
	next := ns.DeepCopy()
	next.Status.Phase = corev1.NamespaceTerminating
	next.Status.Conditions = conditions(ns.Status.Conditions, left, failure, time.Now())
	if equality.Semantic.DeepEqual(ns, next) {
		return ns, nil
	}
	out, err := c.api.UpdateStatus(ctx, next)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("write status: %w", err)
	}
	return out, nil
}

// finalize lets the namespace go.
func (c *Controller) finalize(ctx context.Context, name string) error {
	ns, err := c.api.Get(ctx, "", name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	ns = ns.DeepCopy()
	ns.Spec.Finalizers = slices.DeleteFunc(ns.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	_, err = c.api.UpdateSub(ctx, ns, "finalize")
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("finalize: %w", err)
}
