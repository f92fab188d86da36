package authz

import (
	_ "embed"
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
)

//go:embed policy.txt
var policyText string

const (
	autoupdate     = "rbac.authorization.kubernetes.io/autoupdate"
	aggregateLabel = "rbac.authorization.k8s.io/aggregate-to-"
)

// Bootstrap returns the default roles and bindings, fresh on each call, in the order they are to be
// created. Aggregated roles already have the rules they sum up. Namespaced ones need kube-system and kube-public.
func Bootstrap() []api.Object {
	objects, err := parsePolicy(policyText)
	if err != nil {
		panic("authz: " + err.Error()) // the text is part of the program; a test parses it
	}
	var roles []*rbacv1.ClusterRole
	for _, o := range objects {
		if r, ok := o.(*rbacv1.ClusterRole); ok {
			roles = append(roles, r)
		}
	}
	each := func(f func(*rbacv1.ClusterRole) bool) {
		for _, r := range roles {
			if !f(r) {
				return
			}
		}
	}
	// Twice, because admin sums up edit, which sums up view.
	for range 3 {
		for _, r := range roles {
			if rules, changed := Aggregate(r, each); changed {
				r.Rules = rules
			}
		}
	}
	return objects
}

func parsePolicy(text string) (out []api.Object, err error) {
	var rules *[]rbacv1.PolicyRule
	for n, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0][0] == '#':
			continue
		case line[0] == '\t':
			if rules == nil || len(words) < 3 {
				return nil, fmt.Errorf("policy line %d: rule is misplaced or short", n+1)
			}
			*rules = append(*rules, parseRule(words))
			continue
		case len(words) >= 2 && words[0] == "role":
			var o api.Object
			o, rules = parseRole(words[1:])
			out = append(out, o)
		case len(words) >= 3 && words[0] == "bind":
			rules = nil
			out = append(out, parseBinding(words[1:]))
		default:
			return nil, fmt.Errorf("policy line %d: unknown line %q", n+1, line)
		}
	}
	return out, nil
}

func parseRule(words []string) rbacv1.PolicyRule {
	list := func(s string) []string { return strings.Split(s, ",") }
	if words[1] == "url" {
		return rbacv1.PolicyRule{Verbs: list(words[0]), NonResourceURLs: list(words[2])}
	}
	r := rbacv1.PolicyRule{Verbs: list(words[0]), APIGroups: list(words[1]), Resources: list(words[2])}
	for i, g := range r.APIGroups {
		if g == "core" {
			r.APIGroups[i] = ""
		}
	}
	if len(words) > 3 {
		r.ResourceNames = list(words[3])
	}
	return r
}

func bootstrapMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        name,
		Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
		Annotations: map[string]string{autoupdate: "true"},
	}
}

func parseRole(words []string) (api.Object, *[]rbacv1.PolicyRule) {
	cluster := &rbacv1.ClusterRole{ObjectMeta: bootstrapMeta(words[0])}
	for _, w := range words[1:] {
		switch key, value, _ := strings.Cut(w, "="); key {
		case "ns":
			role := &rbacv1.Role{ObjectMeta: cluster.ObjectMeta}
			role.Namespace = value
			return role, &role.Rules
		case "adds-to":
			cluster.Labels[aggregateLabel+value] = "true"
		case "sums":
			cluster.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
				{MatchLabels: map[string]string{aggregateLabel + value: "true"}},
			}}
		}
	}
	return cluster, &cluster.Rules
}

func parseBinding(words []string) api.Object {
	meta := bootstrapMeta(words[0])
	words = words[1:]
	if ns, ok := strings.CutPrefix(words[0], "ns="); ok {
		meta.Namespace, words = ns, words[1:]
	}
	kind, name, _ := strings.Cut(words[0], "/")
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	var subjects []rbacv1.Subject
	for _, w := range words[1:] {
		kind, name, _ := strings.Cut(w, "=")
		s := rbacv1.Subject{Kind: kind, APIGroup: rbacv1.GroupName, Name: name}
		if kind == rbacv1.ServiceAccountKind {
			s.APIGroup = ""
			s.Namespace, s.Name, _ = strings.Cut(name, "/")
		}
		subjects = append(subjects, s)
	}
	if meta.Namespace != "" {
		return &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
	}
	return &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
}
