package resourcequota

import (
	"context"
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
	all    []objects
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
	for _, k := range d.Conn.Registry().Kinds() {
		if !countable(k) {
			continue
		}
		v := d.Caches.View(k)
		v.Subscribe(func(old, o api.Object) { c.changed(k, old, o) })
		c.all = append(c.all, objects{k, v.In})
	}
	return c
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
	s, again := count(q, c.all, now)
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
