// Package aggregation fills the rules of ClusterRoles that are made of others (aggregationRule).
package aggregation

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
)

// Controller of aggregated ClusterRoles. Use New.
type Controller struct {
	*controller.Loop
	roles client.Cache[*rbacv1.ClusterRole]
	api   client.Client[*rbacv1.ClusterRole]
}

const aggregated = "aggregated"

// New makes the controller.
func New(d controller.Deps) *Controller {
	c := &Controller{roles: client.CacheOf[*rbacv1.ClusterRole](d.Caches), api: client.For[*rbacv1.ClusterRole](d.Conn)}
	c.Loop = controller.NewLoop(d, "clusterrole-aggregation-controller", c.sync)
	c.Workers = 1
	c.roles.Index(aggregated, func(r *rbacv1.ClusterRole) []string {
		if r.AggregationRule == nil {
			return nil
		}
		return []string{"yes"}
	})
	c.roles.Subscribe(func(_, _ *rbacv1.ClusterRole) {
		for _, r := range c.roles.By(aggregated, "yes") {
			c.AddObject(r)
		}
	})
	return c
}

// rules are those of all roles that r's selectors choose, in the order of their names, each once.
func rules(r *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) ([]rbacv1.PolicyRule, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *rbacv1.ClusterRole) int { return cmp.Compare(a.Name, b.Name) })
	var out []rbacv1.PolicyRule
	for i := range r.AggregationRule.ClusterRoleSelectors {
		s, err := metav1.LabelSelectorAsSelector(&r.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, fmt.Errorf("read selector %d: %w", i, err)
		}
		for _, from := range all {
			if from.Name == r.Name || !s.Matches(labels.Set(from.Labels)) {
				continue
			}
			for _, rule := range from.Rules {
				if !slices.ContainsFunc(out, func(had rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(had, rule) }) {
					out = append(out, rule)
				}
			}
		}
	}
	return out, nil
}

func (c *Controller) sync(ctx context.Context, key controller.Key) error {
	r, ok := c.roles.Get("", key.Name)
	if !ok || r.AggregationRule == nil {
		return nil
	}
	want, err := rules(r, c.roles.List())
	if err != nil || equality.Semantic.DeepEqual(want, r.Rules) {
		return err
	}
	next := r.DeepCopy()
	next.Rules = want
	if _, err := c.api.Update(ctx, next); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write rules: %w", err)
	}
	return nil
}
