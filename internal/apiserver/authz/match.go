package authz

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// allows reports whether one rule grants the call. Every list of a rule must match;
// an empty list of names matches all names (reference: RBAC, "Referring to resources").
func allows(rule *rbacv1.PolicyRule, a *request.Attributes) bool {
	if !hasOrAll(rule.Verbs, a.Verb) {
		return false
	}
	if a.Resource == "" {
		return slices.ContainsFunc(rule.NonResourceURLs, func(pattern string) bool { return matchPath(pattern, a.Path) })
	}
	return hasOrAll(rule.APIGroups, a.Group) &&
		slices.ContainsFunc(rule.Resources, func(r string) bool { return matchResource(r, a.Resource, a.Subresource) }) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.Name))
}

func hasOrAll(list []string, v string) bool {
	for _, have := range list {
		if have == v || have == "*" {
			return true
		}
	}
	return false
}

// matchResource knows "*", "pods", "pods/log" and "*/scale". "pods" does not grant its subresources.
func matchResource(pattern, resource, sub string) bool {
	if pattern == "*" {
		return true
	}
	name, patternSub, found := strings.Cut(pattern, "/")
	if !found {
		return sub == "" && name == resource
	}
	return sub != "" && patternSub == sub && (name == "*" || name == resource)
}

// matchPath knows exact paths and a final "*", which matches any rest.
func matchPath(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return pattern == path
}

// covers reports whether the rules that somebody has grant everything in want, and what is left.
func covers(have, want []rbacv1.PolicyRule) (missing []rbacv1.PolicyRule) {
	for _, w := range want {
		for _, single := range split(w) {
			if !slices.ContainsFunc(have, func(h rbacv1.PolicyRule) bool { return coversOne(&h, &single) }) {
				missing = append(missing, single)
			}
		}
	}
	return missing
}

// split breaks a rule into rules of one verb, one group, one resource (or one path) and at most one name.
func split(r rbacv1.PolicyRule) (out []rbacv1.PolicyRule) {
	names := r.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, verb := range r.Verbs {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, name := range names {
					s := rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}
					if name != "" {
						s.ResourceNames = []string{name}
					}
					out = append(out, s)
				}
			}
		}
		for _, path := range r.NonResourceURLs {
			out = append(out, rbacv1.PolicyRule{Verbs: []string{verb}, NonResourceURLs: []string{path}})
		}
	}
	return out
}

// coversOne is coverage of a rule made by split. A wildcard wanted needs a wildcard held.
func coversOne(have, want *rbacv1.PolicyRule) bool {
	if !hasOrAll(have.Verbs, want.Verbs[0]) {
		return false
	}
	if len(want.NonResourceURLs) != 0 {
		path := want.NonResourceURLs[0]
		return slices.ContainsFunc(have.NonResourceURLs, func(pattern string) bool { return pattern == path || matchPath(pattern, path) })
	}
	resource, sub, _ := strings.Cut(want.Resources[0], "/")
	return hasOrAll(have.APIGroups, want.APIGroups[0]) &&
		slices.ContainsFunc(have.Resources, func(r string) bool {
			return r == want.Resources[0] || matchResource(r, resource, sub)
		}) &&
		(len(have.ResourceNames) == 0 || len(want.ResourceNames) != 0 && slices.Contains(have.ResourceNames, want.ResourceNames[0]))
}
