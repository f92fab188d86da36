package typecheck

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/cel"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/expression"
)

// maxKinds bounds how many kinds of one rule are looked at.
const maxKinds = 10

// warnings are about validations and their messages, against every kind that a rule names.
func warnings(r *api.Registry, s *admissionregistrationv1.ValidatingAdmissionPolicySpec) (out []admissionregistrationv1.ExpressionWarning) {
	checkers := checkersOf(r, s)
	add := func(p *field.Path, source string) {
		var texts []string
		for _, c := range checkers {
			if err := c.typed.Check(source); err != nil {
				texts = append(texts, fmt.Sprintf("%v: %s\n", c.kind, err))
			}
		}
		if len(texts) > 0 {
			out = append(out, admissionregistrationv1.ExpressionWarning{FieldRef: p.String(), Warning: strings.Join(texts, "\n")})
		}
	}
	for i, v := range s.Validations {
		p := field.NewPath("spec", "validations").Index(i)
		add(p.Child("expression"), v.Expression)
		if v.MessageExpression != "" {
			add(p.Child("messageExpression"), v.MessageExpression)
		}
	}
	return out
}

type checker struct {
	kind  schema.GroupVersionKind
	typed *expression.Typed
}

// checkersOf makes one for each kind whose type is known.
func checkersOf(r *api.Registry, s *admissionregistrationv1.ValidatingAdmissionPolicySpec) (out []checker) {
	var params *apiservercel.DeclType
	if k := s.ParamKind; k != nil {
		if gv, err := schema.ParseGroupVersion(k.APIVersion); err == nil {
			params = typeOf(r, gv.WithKind(k.Kind), "params")
		}
	}
	for _, gvk := range kinds(r, s.MatchConstraints) {
		object := typeOf(r, gvk, "object")
		if object == nil {
			continue
		}
		t, err := expression.NewTyped(object, params, s.ParamKind != nil)
		if err != nil {
			continue // warnings must not depend on what cannot be declared
		}
		for _, v := range s.Variables {
			t.Variable(v.Name, v.Expression)
		}
		out = append(out, checker{gvk, t})
	}
	return out
}

// typeOf is nil for kinds without a Go type.
func typeOf(r *api.Registry, gvk schema.GroupVersionKind, role string) *apiservercel.DeclType {
	k := r.Kind(gvk.GroupKind())
	if k == nil {
		return nil
	}
	for _, v := range k.Versions {
		if v.GroupVersion() != gvk.GroupVersion() {
			continue
		}
		o := v.New()
		if _, custom := o.(*unstructured.Unstructured); custom {
			return nil
		}
		return expression.TypeOf(reflect.TypeOf(o), gvk.Kind+"."+role)
	}
	return nil
}

// kinds are those that rules name in full, in order; wildcards and subresources name none.
func kinds(r *api.Registry, m *admissionregistrationv1.MatchResources) []schema.GroupVersionKind {
	if m == nil {
		return nil
	}
	found := map[schema.GroupVersionKind]bool{}
	for i := range m.ResourceRules {
		n := 0
		for _, gvk := range named(r, &m.ResourceRules[i].Rule) {
			if n++; n > maxKinds {
				break
			}
			found[gvk] = true
		}
	}
	var out []schema.GroupVersionKind
	for gvk := range found {
		out = append(out, gvk)
	}
	slices.SortFunc(out, func(a, b schema.GroupVersionKind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

func named(r *api.Registry, rule *admissionregistrationv1.Rule) (out []schema.GroupVersionKind) {
	star := func(s string) bool { return strings.Contains(s, "*") }
	if slices.ContainsFunc(rule.APIGroups, star) || slices.ContainsFunc(rule.APIVersions, star) {
		return nil
	}
	for _, g := range slices.Sorted(slices.Values(rule.APIGroups)) {
		for _, v := range slices.Sorted(slices.Values(rule.APIVersions)) {
			for _, res := range slices.Sorted(slices.Values(rule.Resources)) {
				k := r.Resource(schema.GroupResource{Group: g, Resource: res})
				if k == nil {
					continue
				}
				for _, served := range k.Versions {
					if served.Group == g && served.Version == v {
						out = append(out, served.GroupVersion().WithKind(k.Kind))
					}
				}
			}
		}
	}
	return out
}
