package authz

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// Review answers the bodies of authorization.k8s.io: SubjectAccessReview, SelfSubjectAccessReview,
// LocalSubjectAccessReview (metadata.namespace is the path's) and SelfSubjectRulesReview. The body is not changed.
func (c *Chain) Review(ctx context.Context, u *request.User, body runtime.Object) (runtime.Object, error) {
	switch in := body.(type) {
	case *authorizationv1.SubjectAccessReview:
		out := in.DeepCopy()
		status, err := c.review(ctx, "SubjectAccessReview", &out.Spec)
		out.Status = status
		return out, err
	case *authorizationv1.LocalSubjectAccessReview:
		out := in.DeepCopy()
		if r := out.Spec.ResourceAttributes; r == nil || out.Spec.NonResourceAttributes != nil || r.Namespace != out.Namespace {
			return nil, apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind("LocalSubjectAccessReview").GroupKind(), "", field.ErrorList{
				field.Invalid(field.NewPath("spec.resourceAttributes.namespace"), namespaceOf(r), "must match metadata.namespace"),
			})
		}
		status, err := c.review(ctx, "LocalSubjectAccessReview", &out.Spec)
		out.Status = status
		return out, err
	case *authorizationv1.SelfSubjectAccessReview:
		out := in.DeepCopy()
		spec := selfSpec(u, &out.Spec)
		status, err := c.review(ctx, "SelfSubjectAccessReview", &spec)
		out.Status = status
		return out, err
	case *authorizationv1.SelfSubjectRulesReview:
		return c.rulesReview(u, in)
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("body is a %T, not an access review", body))
}

func namespaceOf(r *authorizationv1.ResourceAttributes) string {
	if r == nil {
		return ""
	}
	return r.Namespace
}

func selfSpec(u *request.User, in *authorizationv1.SelfSubjectAccessReviewSpec) authorizationv1.SubjectAccessReviewSpec {
	out := authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: in.ResourceAttributes, NonResourceAttributes: in.NonResourceAttributes,
		User: u.Name, Groups: u.Groups, UID: u.UID, Extra: map[string]authorizationv1.ExtraValue{},
	}
	for k, v := range u.Extra {
		out.Extra[k] = v
	}
	return out
}

func (c *Chain) review(ctx context.Context, kind string, s *authorizationv1.SubjectAccessReviewSpec) (st authorizationv1.SubjectAccessReviewStatus, err error) {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if (s.ResourceAttributes == nil) == (s.NonResourceAttributes == nil) {
		errs = append(errs, field.Invalid(spec.Child("resourceAttributes"), s.NonResourceAttributes, "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
	}
	if s.User == "" && len(s.Groups) == 0 {
		errs = append(errs, field.Invalid(spec.Child("user"), s.User, "at least one of user or group must be specified"))
	}
	if len(errs) > 0 {
		return st, apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind(kind).GroupKind(), "", errs)
	}
	d, reason, err := c.Authorize(ctx, attributes(s))
	st = authorizationv1.SubjectAccessReviewStatus{Allowed: d == request.Allow, Denied: d == request.Deny, Reason: reason}
	if err != nil {
		st.EvaluationError = err.Error()
	}
	return st, nil
}

func attributes(s *authorizationv1.SubjectAccessReviewSpec) *request.Attributes {
	u := &request.User{Name: s.User, UID: s.UID, Groups: s.Groups, Extra: map[string][]string{}}
	for k, v := range s.Extra {
		u.Extra[strings.ToLower(k)] = v
	}
	if n := s.NonResourceAttributes; n != nil {
		return &request.Attributes{User: u, Verb: n.Verb, Path: n.Path}
	}
	r := s.ResourceAttributes
	a := &request.Attributes{User: u, Verb: r.Verb, Group: r.Group, Version: r.Version, Resource: r.Resource,
		Subresource: r.Subresource, Namespace: r.Namespace, Name: r.Name}
	if f := r.FieldSelector; f != nil {
		a.FieldSelector = f.RawSelector
		for _, q := range f.Requirements {
			if q.Operator == metav1.FieldSelectorOpIn && len(q.Values) == 1 {
				a.FieldSelector = join(a.FieldSelector, q.Key+"="+q.Values[0])
			}
		}
	}
	if l := r.LabelSelector; l != nil {
		a.LabelSelector = l.RawSelector
	}
	return a
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}

func (c *Chain) rulesReview(u *request.User, in *authorizationv1.SelfSubjectRulesReview) (runtime.Object, error) {
	if in.Spec.Namespace == "" {
		return nil, apierrors.NewBadRequest("no namespace on request")
	}
	out := in.DeepCopy()
	rules, complete := c.rbac.RulesFor(u, in.Spec.Namespace)
	if u.InGroup("system:masters") {
		rules = append(everything(), rules...)
	}
	st := authorizationv1.SubjectRulesReviewStatus{
		ResourceRules:    []authorizationv1.ResourceRule{},
		NonResourceRules: []authorizationv1.NonResourceRule{},
		Incomplete:       !complete,
	}
	if NodeName(u) != "" {
		st.Incomplete, st.EvaluationError = true, "node authorizer does not support user rule resolution"
	}
	for _, r := range rules {
		addRule(&st, &r)
	}
	out.Status = st
	return out, nil
}

func addRule(st *authorizationv1.SubjectRulesReviewStatus, r *rbacv1.PolicyRule) {
	if len(r.Resources) > 0 {
		st.ResourceRules = append(st.ResourceRules, authorizationv1.ResourceRule{Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames})
	}
	if len(r.NonResourceURLs) > 0 {
		st.NonResourceRules = append(st.NonResourceRules, authorizationv1.NonResourceRule{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
	}
}

// Serve is Review for the write that the server makes of a call on one of the review kinds.
func (c *Chain) Serve(ctx context.Context, w *request.Write) (runtime.Object, error) {
	body := w.Body
	if body == nil {
		body = w.Object
	}
	return c.Review(ctx, w.User, body)
}
