package authz

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Aggregate computes the rules of a ClusterRole with an aggregationRule: those of all roles that
// its selectors match, in the order of each, without repeats. changed is false for roles without an aggregationRule
// and when the rules are already right. A controller calls it when any ClusterRole changes.
func Aggregate(role *rbacv1.ClusterRole, each func(func(*rbacv1.ClusterRole) bool)) (rules []rbacv1.PolicyRule, changed bool) {
	if role.AggregationRule == nil {
		return role.Rules, false
	}
	var selectors []labels.Selector
	for i := range role.AggregationRule.ClusterRoleSelectors {
		if s, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i]); err == nil {
			selectors = append(selectors, s)
		}
	}
	each(func(r *rbacv1.ClusterRole) bool {
		if r.Name == role.Name || !slices.ContainsFunc(selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(r.Labels)) }) {
			return true
		}
		for _, rule := range r.Rules {
			if !slices.ContainsFunc(rules, func(have rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(have, rule) }) {
				rules = append(rules, rule)
			}
		}
		return true
	})
	return rules, !equality.Semantic.DeepEqual(rules, role.Rules)
}
