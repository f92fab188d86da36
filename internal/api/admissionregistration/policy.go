package admissionregistration

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

func matchDefault(m *admissionregistrationv1.MatchResources) {
	if m == nil {
		return
	}
	poddefault.Set(&m.MatchPolicy, admissionregistrationv1.Equivalent)
	poddefault.Set(&m.NamespaceSelector, metav1.LabelSelector{})
	poddefault.Set(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionregistrationv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			poddefault.Set(&rules[i].Scope, admissionregistrationv1.AllScopes)
		}
	}
}

// policy checks what both kinds of policies have in common. Expressions are compiled by who runs them.
func policy(p *field.Path, kind *admissionregistrationv1.ParamKind, m *admissionregistrationv1.MatchResources, failure *admissionregistrationv1.FailurePolicyType) field.ErrorList {
	errs := check.OptionalOf(p.Child("failurePolicy"), failure, admissionregistrationv1.Fail, admissionregistrationv1.Ignore)
	if kind != nil {
		errs = append(errs, check.Join(check.Present(p.Child("paramKind", "apiVersion"), kind.APIVersion), check.Present(p.Child("paramKind", "kind"), kind.Kind))...)
	}
	if m == nil {
		return append(errs, field.Required(p.Child("matchConstraints"), ""))
	}
	mp := p.Child("matchConstraints")
	if len(m.ResourceRules) == 0 {
		errs = append(errs, field.Required(mp.Child("resourceRules"), ""))
	}
	return append(errs, check.Join(
		namedRules(mp.Child("resourceRules"), m.ResourceRules), namedRules(mp.Child("excludeResourceRules"), m.ExcludeResourceRules),
		check.OptionalOf(mp.Child("matchPolicy"), m.MatchPolicy, admissionregistrationv1.Equivalent, admissionregistrationv1.Exact),
		check.Selector(mp.Child("namespaceSelector"), m.NamespaceSelector), check.Selector(mp.Child("objectSelector"), m.ObjectSelector))...)
}

func namedRules(p *field.Path, named []admissionregistrationv1.NamedRuleWithOperations) field.ErrorList {
	rules := make([]admissionregistrationv1.RuleWithOperations, len(named))
	for i := range named {
		rules[i] = named[i].RuleWithOperations
	}
	return ruleList(p, rules)
}

func paramRef(p *field.Path, r *admissionregistrationv1.ParamRef) field.ErrorList {
	if r == nil {
		return nil
	}
	var errs field.ErrorList
	switch {
	case r.Name != "" && r.Selector != nil:
		errs = append(errs, field.Forbidden(p.Child("name"), "name and selector are mutually exclusive"))
	case r.Name == "" && r.Selector == nil:
		errs = append(errs, field.Required(p, "one of name or selector must be specified"))
	}
	if r.ParameterNotFoundAction == nil {
		return append(errs, field.Required(p.Child("parameterNotFoundAction"), ""))
	}
	return append(errs, check.Supported(p.Child("parameterNotFoundAction"), *r.ParameterNotFoundAction, admissionregistrationv1.AllowAction, admissionregistrationv1.DenyAction)...)
}

func paramKind(k *admissionregistrationv1.ParamKind) string {
	if k == nil {
		return "<unset>"
	}
	return k.APIVersion + "/" + k.Kind
}

func paramName(r *admissionregistrationv1.ParamRef) string {
	switch {
	case r == nil:
	case r.Name != "":
		return kit.Or(r.Namespace, "*") + "/" + r.Name
	case r.Selector != nil:
		return r.Selector.String()
	}
	return "<unset>"
}
