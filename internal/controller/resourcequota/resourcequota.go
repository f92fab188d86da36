package resourcequota

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/quota"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

const (
	// soon lets several ends be counted at once, and charged writes that are under way reach the caches.
	soon = 50 * time.Millisecond
	// later is when charges are checked: a write may have failed after it was charged.
	later = 10 * time.Second
)

// Controller of ResourceQuotas' status. Use New.
type Controller struct {
	*controller.Loop
	quotas client.Cache[*corev1.ResourceQuota]
	api    client.Client[*corev1.ResourceQuota]
	mu     sync.Mutex
	all    []objects // of each kind; replaced, never changed
}

// New makes the controller over all kinds that quotas can count.
func New(d controller.Deps) *Controller {
	c := &Controller{quotas: client.CacheOf[*corev1.ResourceQuota](d.Caches), api: client.For[*corev1.ResourceQuota](d.Conn)}
	c.Loop = controller.NewLoop(d, "resourcequota-controller", c.sync)
	c.quotas.Subscribe(func(old, q *corev1.ResourceQuota) {
		switch {
		case q == nil:
		case old == nil || !quota.Equal(old.Spec.Hard, q.Spec.Hard) || q.Status.Used == nil:
			c.AddObject(q)
		default:
			c.AddAfter(controller.KeyOf(q), later)
		}
	})
	d.Caches.EachKind(countable, func(v *client.View) func() {
		k := v.Kind()
		v.Subscribe(func(old, o api.Object) { c.changed(k, old, o) })
		c.set(func(all []objects) []objects { return append(all, objects{k, v.In, v.Synced}) })
		return func() {
			c.set(func(all []objects) []objects {
				return slices.DeleteFunc(all, func(o objects) bool { return o.kind == k })
			})
		}
	})
	return c
}

// set replaces what is counted.
func (c *Controller) set(f func([]objects) []objects) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = f(slices.Clone(c.all))
}

// counted are the kinds whose objects are all known.
func (c *Controller) counted() []objects {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.all), func(o objects) bool { return !o.seen() })
}

func (c *Controller) changed(k *api.Kind, old, o api.Object) {
	of := o
	if of == nil {
		of = old
	}
	for _, q := range c.quotas.In(of.GetNamespace()) {
		switch {
		case old == nil:
			if concerns(q.Spec.Hard, k) { // admission has charged it, as a rule
				c.AddAfter(controller.KeyOf(q), later)
			}
		case frees(q, k, old, o, time.Now()):
			c.AddAfter(controller.KeyOf(q), soon)
		}
	}
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	q, ok := c.quotas.Get(key.Namespace, key.Name)
	if !ok {
		return nil
	}
	now := time.Now()
	s, again := count(q, c.counted(), now)
	if !again.IsZero() {
		c.AddAfter(key, again.Sub(now)+time.Millisecond)
	}
	if quota.Equal(s.Hard, q.Status.Hard) && quota.Equal(s.Used, q.Status.Used) && q.Status.Used != nil {
		return nil
	}
	next := q.DeepCopy()
	next.Status = s
	return controller.WriteStatus(ctx, c.api, next)
}
