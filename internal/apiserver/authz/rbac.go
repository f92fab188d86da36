package authz

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// RBAC authorizes by roles and bindings. A decision costs as much as the user has bindings,
// however many there are in the cluster.
type RBAC struct {
	reader       request.Reader
	index        *index
	roles        *api.Kind
	clusterRoles *api.Kind
}

// NewRBAC makes the authorizer. Call it before the server starts: it listens for changes.
func NewRBAC(r request.Reader) *RBAC {
	return &RBAC{
		reader:       r,
		index:        newIndex(r),
		roles:        r.Registry().Resource(schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}),
		clusterRoles: r.Registry().Resource(schema.GroupResource{Group: rbacv1.GroupName, Resource: "clusterroles"}),
	}
}

// Authorize implements request.Authorizer. It never denies.
func (z *RBAC) Authorize(_ context.Context, a *request.Attributes) (d request.Decision, reason string, err error) {
	if a.User == nil {
		return request.NoOpinion, "", nil
	}
	z.index.each(a.User, a.Namespace, func(b *binding, by subject) bool {
		rules, ok := z.rulesOf(b)
		if !ok {
			reason = fmt.Sprintf("RBAC: %s not found", missingRole(b))
			return true
		}
		for i := range rules {
			if allows(&rules[i], a) {
				d, reason = request.Allow, allowedBy(b, by)
				return false
			}
		}
		return true
	})
	return d, reason, nil
}

// RulesFor lists what a user may do in a namespace (cluster-wide grants included). complete is
// false when a bound role does not exist.
func (z *RBAC) RulesFor(u *request.User, namespace string) (rules []rbacv1.PolicyRule, complete bool) {
	complete = true
	z.index.each(u, namespace, func(b *binding, _ subject) bool {
		r, ok := z.rulesOf(b)
		complete = complete && ok
		rules = append(rules, r...)
		return true
	})
	return rules, complete
}

func (z *RBAC) rulesOf(b *binding) ([]rbacv1.PolicyRule, bool) {
	return z.RoleRules(b.role, b.namespace)
}

// RoleRules are the rules a reference stands for, seen from a binding in namespace.
func (z *RBAC) RoleRules(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, bool) {
	switch ref.Kind {
	case "ClusterRole":
		if z.clusterRoles == nil {
			return nil, false
		}
		if o, ok := z.reader.Get(z.clusterRoles, "", ref.Name); ok {
			return o.(*rbacv1.ClusterRole).Rules, true
		}
	case "Role":
		if z.roles == nil || namespace == "" {
			return nil, false
		}
		if o, ok := z.reader.Get(z.roles, namespace, ref.Name); ok {
			return o.(*rbacv1.Role).Rules, true
		}
	}
	return nil, false
}

func missingRole(b *binding) string {
	if b.role.Kind == "Role" {
		return fmt.Sprintf("role.rbac.authorization.k8s.io %q", b.role.Name)
	}
	return fmt.Sprintf("clusterrole.rbac.authorization.k8s.io %q", b.role.Name)
}

func allowedBy(b *binding, by subject) string {
	kind, name := "ClusterRoleBinding", b.name
	if b.namespace != "" {
		kind, name = "RoleBinding", b.name+"/"+b.namespace
	}
	return fmt.Sprintf("RBAC: allowed by %s %q of %s %q to %s", kind, name, b.role.Kind, b.role.Name, by)
}
