package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// everything is what it takes to write an aggregated ClusterRole: its rules are not known yet.
func everything() []rbacv1.PolicyRule {
	all := []string{"*"}
	return []rbacv1.PolicyRule{{Verbs: all, APIGroups: all, Resources: all}, {Verbs: all, NonResourceURLs: all}}
}

// Step keeps people from granting what they do not hold: to write a role one must hold all
// its rules or have the verb escalate on it, to write a binding all rules of its role or the verb bind
// (reference: RBAC, "Privilege escalation prevention and bootstrapping").
func (c *Chain) Step() request.Step {
	return request.Step{Name: "RBACEscalation", Check: c.checkEscalation}
}

func (c *Chain) checkEscalation(ctx context.Context, w *request.Write) error {
	if w.Kind.Hub().Group != rbacv1.GroupName || w.Subresource != "" || w.Object == nil || (w.Operation != request.Create && w.Operation != request.Update) {
		return nil
	}
	if w.User == nil || w.User.InGroup("system:masters") {
		return nil
	}
	want, verb, resource, name := c.granted(w.Object)
	if w.Old != nil {
		if old, _, _, _ := c.granted(w.Old); equality.Semantic.DeepEqual(old, want) && sameSubjects(w.Old, w.Object) {
			return nil
		}
	}
	a := &request.Attributes{User: w.User, Verb: verb, Group: rbacv1.GroupName, Version: "v1", Resource: resource, Name: name, Namespace: w.Namespace}
	if d, _, _ := c.Authorize(ctx, a); d == request.Allow {
		return nil
	}
	if isBinding(w.Object) && want == nil {
		return apierrors.NewNotFound(rbacv1.Resource(resource), name)
	}
	have, _ := c.rbac.RulesFor(w.User, w.Namespace)
	missing := covers(have, want)
	if len(missing) == 0 {
		return nil
	}
	return apierrors.NewForbidden(w.Kind.GroupResource(), w.Object.GetName(), grantError(w.User, missing))
}

// granted is what writing o would hand out, and the verb on which resource lets one do it anyway.
func (c *Chain) granted(o api.Object) (rules []rbacv1.PolicyRule, verb, resource, name string) {
	switch o := o.(type) {
	case *rbacv1.Role:
		return o.Rules, "escalate", "roles", o.Name
	case *rbacv1.ClusterRole:
		rules = o.Rules
		if o.AggregationRule != nil {
			rules = everything()
		}
		return rules, "escalate", "clusterroles", o.Name
	case *rbacv1.RoleBinding:
		return c.bound(o.RoleRef, o.Namespace)
	case *rbacv1.ClusterRoleBinding:
		return c.bound(o.RoleRef, "")
	}
	return nil, "", "", ""
}

func (c *Chain) bound(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, string, string, string) {
	rules, ok := c.rbac.RoleRules(ref, namespace)
	if ok && rules == nil {
		rules = []rbacv1.PolicyRule{}
	}
	return rules, "bind", strings.ToLower(ref.Kind) + "s", ref.Name
}

func isBinding(o api.Object) bool {
	switch o.(type) {
	case *rbacv1.RoleBinding, *rbacv1.ClusterRoleBinding:
		return true
	}
	return false
}

func sameSubjects(a, b api.Object) bool {
	return equality.Semantic.DeepEqual(toBinding(a).subjects, toBinding(b).subjects)
}

func grantError(u *request.User, missing []rbacv1.PolicyRule) error {
	var lines []string
	for i := range missing {
		lines = append(lines, compact(&missing[i]))
	}
	slices.Sort(lines)
	text := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", u.Name, u.Groups, strings.Join(slices.Compact(lines), "\n"))
	return errors.New(text)
}

// compact writes a rule on one line, e.g. {APIGroups:[""], Resources:["pods"], Verbs:["get"]}.
func compact(r *rbacv1.PolicyRule) string {
	var parts []string
	for _, f := range []struct {
		name string
		list []string
	}{{"APIGroups", r.APIGroups}, {"Resources", r.Resources}, {"ResourceNames", r.ResourceNames}, {"NonResourceURLs", r.NonResourceURLs}, {"Verbs", r.Verbs}} {
		if len(f.list) > 0 {
			quoted := make([]string, len(f.list))
			for i, v := range f.list {
				quoted[i] = fmt.Sprintf("%q", v)
			}
			parts = append(parts, f.name+":["+strings.Join(quoted, " ")+"]")
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
