package endpoints

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of EndpointSlices and Endpoints; its keys are services. Use New.
type Controller struct {
	*controller.Loop
	services  client.Cache[*corev1.Service]
	pods      client.Cache[*corev1.Pod]
	nodes     client.Cache[*corev1.Node]
	slices    client.Cache[*discoveryv1.EndpointSlice]
	endpoints client.Cache[*corev1.Endpoints]
	sliceAPI  client.Client[*discoveryv1.EndpointSlice]
	legacyAPI client.Client[*corev1.Endpoints]
	pending   *controller.Pending
}

const byService = "service"

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{
		services: client.CacheOf[*corev1.Service](d.Caches), pods: client.CacheOf[*corev1.Pod](d.Caches), nodes: client.CacheOf[*corev1.Node](d.Caches),
		slices: client.CacheOf[*discoveryv1.EndpointSlice](d.Caches), endpoints: client.CacheOf[*corev1.Endpoints](d.Caches),
		sliceAPI: client.For[*discoveryv1.EndpointSlice](d.Conn), legacyAPI: client.For[*corev1.Endpoints](d.Conn),
	}
	c.Loop = controller.NewLoop(d, "endpoint-slice-controller", c.sync)
	c.pending = controller.NewPending(c.slices)
	c.slices.Index(byService, func(s *discoveryv1.EndpointSlice) []string {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	controller.Changed(c.Loop, c.services)
	controller.Changed(c.Loop, c.endpoints)
	c.pods.Subscribe(c.podChanged)
	c.slices.Subscribe(func(old, s *discoveryv1.EndpointSlice) {
		for _, o := range []*discoveryv1.EndpointSlice{old, s} {
			if o != nil {
				c.Add(controller.Key{Namespace: o.Namespace, Name: o.Labels[discoveryv1.LabelServiceName]})
			}
		}
	})
	return c
}

func (c *Controller) podChanged(old, p *corev1.Pod) {
	if old != nil && p != nil && sameForUs(old, p) {
		return
	}
	ns := ""
	if old != nil {
		ns = old.Namespace
	} else {
		ns = p.Namespace
	}
	for _, s := range c.services.In(ns) {
		if sel := labels.SelectorFromSet(s.Spec.Selector); len(s.Spec.Selector) > 0 &&
			(old != nil && sel.Matches(labels.Set(old.Labels)) || p != nil && sel.Matches(labels.Set(p.Labels))) {
			c.AddObject(s)
		}
	}
}

func sameForUs(a, b *corev1.Pod) bool {
	return a.Status.PodIP == b.Status.PodIP && len(a.Status.PodIPs) == len(b.Status.PodIPs) && controller.PodReady(a) == controller.PodReady(b) &&
		a.Status.Phase == b.Status.Phase && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) && a.Spec.NodeName == b.Spec.NodeName && maps.Equal(a.Labels, b.Labels)
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	svc, ok := c.services.Get(key.Namespace, key.Name)
	have := c.slices.By(byService, key.String())
	if behind, again := c.pending.Any(key); behind {
		c.AddAfter(key, again)
		return nil
	}
	switch {
	case !ok:
		// Slices go with their owner. Endpoints of older versions have none.
		if ep, ok := c.endpoints.Get(key.Namespace, key.Name); ok && ep.Labels[legacyManaged] == legacyManager {
			return gone(c.legacyAPI.Delete(ctx, key.Namespace, key.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ep.UID}}))
		}
		return c.apply(ctx, key, slicesPlan{delete: managed(have, mirrorManager)})
	case svc.DeletionTimestamp != nil || svc.Spec.Type == corev1.ServiceTypeExternalName:
		return nil
	case len(svc.Spec.Selector) == 0:
		return c.mirror(ctx, key, have)
	}
	return c.publish(ctx, key, svc, have)
}

func managed(in []*discoveryv1.EndpointSlice, by string) (out []*discoveryv1.EndpointSlice) {
	for _, s := range in {
		if s.Labels[discoveryv1.LabelManagedBy] == by {
			out = append(out, s)
		}
	}
	return out
}

func (c *Controller) zone(node string) string {
	n, ok := c.nodes.Get("", node)
	if !ok {
		return ""
	}
	return n.Labels[corev1.LabelTopologyZone]
}

func (c *Controller) publish(ctx context.Context, key controller.Key, svc *corev1.Service, have []*discoveryv1.EndpointSlice) error {
	selector := labels.SelectorFromSet(svc.Spec.Selector)
	var pods []*corev1.Pod
	for _, p := range c.pods.In(key.Namespace) {
		if selector.Matches(labels.Set(p.Labels)) {
			pods = append(pods, p)
		}
	}
	var groups []*group
	var first []member
	for i, f := range families(svc) {
		m := members(svc, pods, f, c.zone)
		if i == 0 {
			first = m
		}
		groups = append(groups, groupUp(f, m)...)
	}
	p := planSlices(serviceMeta(svc), groups, managed(have, managedBy))
	p.delete = append(p.delete, managed(have, mirrorManager)...)
	if err := c.apply(ctx, key, p); err != nil {
		return err
	}
	return c.publishLegacy(ctx, legacy(svc, first))
}

func (c *Controller) mirror(ctx context.Context, key controller.Key, have []*discoveryv1.EndpointSlice) error {
	have = managed(have, mirrorManager)
	ep, ok := c.endpoints.Get(key.Namespace, key.Name)
	if !ok || !mirrored(ep) {
		return c.apply(ctx, key, slicesPlan{delete: have})
	}
	return c.apply(ctx, key, planSlices(mirrorMeta(ep), mirror(ep), have))
}

func (c *Controller) apply(ctx context.Context, key controller.Key, p slicesPlan) error {
	for _, s := range p.create {
		s.Name = controller.Name(s.GenerateName)
		name := controller.KeyOf(s)
		c.pending.Creating(key, name)
		if _, err := c.sliceAPI.Create(ctx, s); err != nil {
			c.pending.NotCreated(name)
			if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return nil
			}
			return fmt.Errorf("create endpoint slice: %w", err)
		}
	}
	for _, s := range p.update {
		if _, err := c.sliceAPI.Update(ctx, s); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("update endpoint slice %s: %w", s.Name, err)
		}
	}
	for _, s := range p.delete {
		if err := gone(c.sliceAPI.Delete(ctx, s.Namespace, s.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.UID}})); err != nil {
			return fmt.Errorf("delete endpoint slice %s: %w", s.Name, err)
		}
	}
	return nil
}

// gone takes an object that is not there, or no longer the same one, for deleted.
func gone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (c *Controller) publishLegacy(ctx context.Context, want *corev1.Endpoints) error {
	have, ok := c.endpoints.Get(want.Namespace, want.Name)
	if !ok {
		_, err := c.legacyAPI.Create(ctx, want)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("create endpoints: %w", err)
		}
		return nil
	}
	next := have.DeepCopy()
	next.Subsets, next.Labels = want.Subsets, want.Labels
	delete(next.Annotations, overCapacity)
	for k, v := range want.Annotations {
		metav1.SetMetaDataAnnotation(&next.ObjectMeta, k, v)
	}
	if equality.Semantic.DeepEqual(have, next) {
		return nil
	}
	if _, err := c.legacyAPI.Update(ctx, next); err != nil {
		return fmt.Errorf("update endpoints: %w", err)
	}
	return nil
}
