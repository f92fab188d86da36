package evaluate

import (
	"context"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/library"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

func (in *Input) authorizer() any {
	v, _ := in.once("authorizer", func() (any, error) {
		return library.NewAuthorizerVal(in.user(), bridge{in.Authorizer}), nil
	})
	return v
}

func (in *Input) requestResource() any {
	v, _ := in.once("authorizer.requestResource", func() (any, error) {
		return library.NewResourceAuthorizerVal(in.user(), bridge{in.Authorizer}, resource{in}), nil
	})
	return v
}

func (in *Input) user() user.Info {
	u := in.Write.User
	if u == nil {
		return &user.DefaultInfo{}
	}
	return &user.DefaultInfo{Name: u.Name, UID: u.UID, Groups: u.Groups, Extra: u.Extra}
}

// resource is what was written, for authorizer.requestResource.
type resource struct{ in *Input }

func (r resource) GetName() string                          { return r.in.Target.Name }
func (r resource) GetNamespace() string                     { return r.in.Target.Namespace }
func (r resource) GetResource() schema.GroupVersionResource { return r.in.Target.Resource }
func (r resource) GetSubresource() string                   { return r.in.Target.Subresource }

// bridge asks the server's authorizer what the CEL library asks.
type bridge struct{ request.Authorizer }

// Authorize implements authorizer.Authorizer.
func (b bridge) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	u := a.GetUser()
	out := &request.Attributes{
		User: &request.User{Name: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: u.GetExtra()},
		Verb: a.GetVerb(), Group: a.GetAPIGroup(), Version: a.GetAPIVersion(), Resource: a.GetResource(), Subresource: a.GetSubresource(),
		Namespace: a.GetNamespace(), Name: a.GetName(), Path: a.GetPath(),
	}
	if r, err := a.GetFieldSelector(); err == nil {
		out.FieldSelector = fieldSelector(r)
	}
	if r, err := a.GetLabelSelector(); err == nil && len(r) > 0 {
		out.LabelSelector = labels.NewSelector().Add(r...).String()
	}
	d, why, err := b.Authorizer.Authorize(ctx, out)
	switch d {
	case request.Allow:
		return authorizer.DecisionAllow, why, err
	case request.Deny:
		return authorizer.DecisionDeny, why, err
	}
	return authorizer.DecisionNoOpinion, why, err
}

func fieldSelector(rs fields.Requirements) string {
	all := make([]fields.Selector, len(rs))
	for i, r := range rs {
		if r.Operator == "!=" {
			all[i] = fields.OneTermNotEqualSelector(r.Field, r.Value)
		} else {
			all[i] = fields.OneTermEqualSelector(r.Field, r.Value)
		}
	}
	return fields.AndSelectors(all...).String()
}
