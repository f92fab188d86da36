// Package nodeipam gives every node its share of the cluster's pod addresses (spec.podCIDRs).
package nodeipam

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

const (
	bits4 = 24
	bits6 = 64
)

// Controller of nodes' ranges. Use New.
type Controller struct {
	*controller.Loop
	cluster []netip.Prefix
	nodes   client.Cache[*corev1.Node]
	api     client.Client[*corev1.Node]
	// given holds what was written and is not in the cache yet; one worker.
	given map[netip.Prefix]string
}

// New makes the controller. Without Deps.ClusterCIDRs it does nothing.
func New(d controller.Deps) *Controller {
	c := &Controller{cluster: d.ClusterCIDRs, nodes: client.CacheOf[*corev1.Node](d.Caches), api: client.For[*corev1.Node](d.Conn), given: map[netip.Prefix]string{}}
	c.Loop = controller.NewLoop(d, "node-ipam-controller", c.sync)
	c.Workers = 1
	c.nodes.Subscribe(func(_, n *corev1.Node) {
		if n != nil && len(n.Spec.PodCIDRs) == 0 {
			c.AddObject(n)
		}
	})
	return c
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	n, ok := c.nodes.Get("", key.Name)
	if !ok || len(n.Spec.PodCIDRs) > 0 || len(c.cluster) == 0 {
		return nil
	}
	used := c.used()
	var take []netip.Prefix
	for _, p := range c.cluster {
		free, ok := firstFree(p, used)
		if !ok {
			c.Event(n, corev1.EventTypeWarning, "CIDRNotAvailable", "Node %s status is now: CIDRNotAvailable", n.Name)
			return fmt.Errorf("no range left in %s", p)
		}
		take = append(take, free)
	}
	next := n.DeepCopy()
	next.Spec.PodCIDR = take[0].String()
	for _, p := range take {
		next.Spec.PodCIDRs = append(next.Spec.PodCIDRs, p.String())
	}
	if _, err := c.api.Update(ctx, next); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("assign range: %w", err)
	}
	for _, p := range take {
		c.given[p] = n.Name
	}
	return nil
}

// used are the ranges of all nodes, what was just given included.
func (c *Controller) used() map[netip.Prefix]bool {
	out := map[netip.Prefix]bool{}
	for _, n := range c.nodes.List() {
		for _, s := range n.Spec.PodCIDRs {
			if p, err := netip.ParsePrefix(s); err == nil {
				out[p.Masked()] = true
			}
		}
	}
	for p, node := range c.given {
		n, ok := c.nodes.Get("", node)
		if !ok || len(n.Spec.PodCIDRs) > 0 {
			delete(c.given, p)
			continue
		}
		out[p] = true
	}
	return out
}

// firstFree is the lowest range of a node's size in cluster that overlaps none of used.
func firstFree(cluster netip.Prefix, used map[netip.Prefix]bool) (netip.Prefix, bool) {
	bits := bits4
	if cluster.Addr().Is6() {
		bits = bits6
	}
	bits = max(bits, cluster.Bits())
	p := netip.PrefixFrom(cluster.Masked().Addr(), bits)
	for cluster.Contains(p.Addr()) {
		if !overlaps(p, used) {
			return p, true
		}
		next, ok := after(p)
		if !ok {
			break
		}
		p = next
	}
	return netip.Prefix{}, false
}

func overlaps(p netip.Prefix, used map[netip.Prefix]bool) bool {
	if used[p] {
		return true
	}
	for u := range used {
		if u.Bits() != p.Bits() && u.Overlaps(p) {
			return true
		}
	}
	return false
}

// after is the next range of the same size; false at the end of all addresses.
func after(p netip.Prefix) (netip.Prefix, bool) {
	b := p.Addr().AsSlice()
	for i := p.Bits() - 1; i >= 0; i-- {
		bit := byte(1) << (7 - i%8)
		b[i/8] ^= bit
		if b[i/8]&bit != 0 {
			a, _ := netip.AddrFromSlice(b)
			return netip.PrefixFrom(a, p.Bits()), true
		}
	}
	return netip.Prefix{}, false
}
