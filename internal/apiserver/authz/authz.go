// Package authz decides who may do what: members of system:masters everything,
// nodes what concerns their own pods, everybody else what RBAC says.
//
// It sees objects only through request.Reader and never the server. Read
// this file first, then rbac.go; policy.txt holds the default roles.
package authz

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Chain asks authorizers in order; the first with an opinion decides.
type Chain struct {
	list []request.Authorizer
	rbac *RBAC
}

// New makes the cluster's authorizer. Call it before the server starts: it listens for changes.
func New(r request.Reader) *Chain {
	rbac := NewRBAC(r)
	return &Chain{[]request.Authorizer{Masters{}, NewNode(r), rbac}, rbac}
}

// RBAC is the chain's RBAC authorizer, for rule listings and escalation checks.
func (c *Chain) RBAC() *RBAC { return c.rbac }

// Authorize implements request.Authorizer.
func (c *Chain) Authorize(ctx context.Context, a *request.Attributes) (request.Decision, string, error) {
	var reasons []string
	var first error
	for _, z := range c.list {
		d, reason, err := z.Authorize(ctx, a)
		if d != request.NoOpinion {
			return d, reason, err
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if first == nil {
			first = err
		}
	}
	return request.NoOpinion, strings.Join(reasons, "\n"), first
}

// Masters lets the group system:masters do everything, whatever became of the roles.
type Masters struct{}

// Authorize implements request.Authorizer.
func (Masters) Authorize(_ context.Context, a *request.Attributes) (request.Decision, string, error) {
	if a.User != nil && a.User.InGroup("system:masters") {
		return request.Allow, "", nil
	}
	return request.NoOpinion, "", nil
}

// Forbidden is the answer to a call that nobody allowed, worded as upstream words it.
func Forbidden(a *request.Attributes, reason string) *apierrors.StatusError {
	text := describe(a)
	if reason != "" {
		text += ": " + reason
	}
	return apierrors.NewForbidden(schema.GroupResource{Group: a.Group, Resource: a.Resource}, a.Name, errors.New(text))
}

// describe says who cannot do what, e.g.
// User "jane" cannot get resource "pods/log" in API group "" in the namespace "default".
func describe(a *request.Attributes) string {
	user := ""
	if a.User != nil {
		user = a.User.Name
	}
	if a.Resource == "" {
		return fmt.Sprintf("User %q cannot %s path %q", user, a.Verb, a.Path)
	}
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	where := " at the cluster scope"
	if a.Namespace != "" {
		where = fmt.Sprintf(" in the namespace %q", a.Namespace)
	}
	return fmt.Sprintf("User %q cannot %s resource %q in API group %q%s", user, a.Verb, resource, a.Group, where)
}
