package policy

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// readers keeps people from reading through policies what they may not read themselves: who writes a policy with
// parameters must be able to get all of their kind, who writes a binding those that it names.
type readers struct {
	reader request.Reader
	authz  request.Authorizer
}

// check looks at writes of policies and bindings; all others pass.
func (r readers) check(ctx context.Context, w *request.Write) error {
	if r.authz == nil || w.Object == nil || w.Subresource != "" || w.User == nil || w.User.InGroup("system:masters") {
		return nil
	}
	kind, ref, policy := parametersOf(w.Object)
	if w.Old != nil {
		if k, f, p := parametersOf(w.Old); equality.Semantic.DeepEqual(k, kind) && equality.Semantic.DeepEqual(f, ref) && p == policy {
			return nil
		}
	}
	var err error
	p := field.NewPath("spec", "paramKind")
	switch {
	case kind != nil:
		err = r.mayGetAll(ctx, w.User, kind)
	case ref != nil:
		p = field.NewPath("spec", "paramRef")
		err = r.mayRead(ctx, w.User, ref, w.Kind.Kind, policy)
	}
	if err == nil {
		return nil
	}
	gk := schema.GroupKind{Group: admissionregistrationv1.GroupName, Kind: w.Kind.Kind}
	return apierrors.NewInvalid(gk, w.Object.GetName(), field.ErrorList{field.Forbidden(p, err.Error())})
}

// parametersOf gives the kind of a policy's parameters, or those a binding names and for which policy.
func parametersOf(o api.Object) (*admissionregistrationv1.ParamKind, *admissionregistrationv1.ParamRef, string) {
	switch o := o.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		return o.Spec.ParamKind, nil, ""
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		return o.Spec.ParamKind, nil, ""
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		return nil, o.Spec.ParamRef, o.Spec.PolicyName
	case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
		return nil, o.Spec.ParamRef, o.Spec.PolicyName
	}
	return nil, nil, ""
}

func (r readers) mayGetAll(ctx context.Context, u *request.User, k *admissionregistrationv1.ParamKind) error {
	a := r.about(k)
	a.User, a.Verb, a.Namespace, a.Name = u, "get", "*", "*"
	ok, err := r.allowed(ctx, a)
	if err == nil && !ok {
		err = fmt.Errorf(`user %s must have "get" permission on all objects of the referenced paramKind (kind=%s, apiVersion=%s)`, u.Name, k.Kind, k.APIVersion)
	}
	return err
}

func (r readers) mayRead(ctx context.Context, u *request.User, ref *admissionregistrationv1.ParamRef, kind, policy string) error {
	a := r.about(r.kindFor(kind, policy))
	a.User, a.Verb, a.Namespace, a.Name = u, "get", ref.Namespace, ref.Name
	if ref.Name == "" {
		a.Verb = "list"
	}
	ok, err := r.allowed(ctx, a)
	switch {
	case err != nil || ok:
		return err
	case a.Resource == "*":
		return fmt.Errorf("unable to find what policy %s has as parameters, and user %s does not have %q permission for all groups, versions and resources", policy, u.Name, a.Verb)
	}
	return fmt.Errorf("user %s does not have %q permission on the object referenced by paramRef", u.Name, a.Verb)
}

// kindFor is the paramKind of the policy of a binding of the kind; nil when there is none.
func (r readers) kindFor(binding, policy string) *admissionregistrationv1.ParamKind {
	resource := "validatingadmissionpolicies"
	if binding == "MutatingAdmissionPolicyBinding" {
		resource = "mutatingadmissionpolicies"
	}
	k := r.reader.Registry().Resource(admissionregistrationv1.Resource(resource))
	if k == nil {
		return nil
	}
	o, ok := r.reader.Get(k, "", policy)
	if !ok {
		return nil
	}
	kind, _, _ := parametersOf(o)
	return kind
}

// about asks for as little as is known to be enough: everything for what is not known.
func (r readers) about(p *admissionregistrationv1.ParamKind) *request.Attributes {
	a := &request.Attributes{Group: "*", Version: "*", Resource: "*"}
	if p == nil {
		return a
	}
	gv, err := schema.ParseGroupVersion(p.APIVersion)
	if err != nil {
		return a
	}
	a.Group, a.Version = gv.Group, gv.Version
	if k, _, err := kindOf(r.reader.Registry(), p); err == nil {
		a.Resource = k.Resource
	}
	return a
}

func (r readers) allowed(ctx context.Context, a *request.Attributes) (bool, error) {
	d, _, err := r.authz.Authorize(ctx, a)
	if err != nil {
		return false, fmt.Errorf("failed to authorize request: %w", err)
	}
	return d == request.Allow, nil
}
