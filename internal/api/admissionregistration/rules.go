package admissionregistration

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/check"
)

func ruleList(p *field.Path, rules []admissionregistrationv1.RuleWithOperations) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		errs = append(errs, rule(p.Index(i), &rules[i])...)
	}
	return errs
}

func namedRules(p *field.Path, named []admissionregistrationv1.NamedRuleWithOperations) field.ErrorList {
	var errs field.ErrorList
	for i := range named {
		np := p.Index(i).Child("resourceNames")
		for j, n := range named[i].ResourceNames {
			errs = append(errs, check.Invalid(np.Index(j), n, path.IsValidPathSegmentName(n))...)
			if slices.Contains(named[i].ResourceNames[:j], n) {
				errs = append(errs, field.Duplicate(np.Index(j), n))
			}
		}
		errs = append(errs, rule(p.Index(i), &named[i].RuleWithOperations)...)
	}
	return errs
}

func rule(p *field.Path, r *admissionregistrationv1.RuleWithOperations) field.ErrorList {
	errs := alone(p.Child("operations"), r.Operations, "operations")
	for i, o := range r.Operations {
		errs = append(errs, check.Supported(p.Child("operations").Index(i), o, admissionregistrationv1.OperationAll, admissionregistrationv1.Connect,
			admissionregistrationv1.Create, admissionregistrationv1.Delete, admissionregistrationv1.Update)...)
	}
	errs = append(errs, alone(p.Child("apiGroups"), r.APIGroups, "API groups")...)
	errs = append(errs, alone(p.Child("apiVersions"), r.APIVersions, "API versions")...)
	for i, v := range r.APIVersions {
		errs = append(errs, check.Present(p.Child("apiVersions").Index(i), v)...)
	}
	return append(errs, check.Join(resources(p.Child("resources"), r.Resources), check.OptionalOf(p.Child("scope"), r.Scope,
		admissionregistrationv1.AllScopes, admissionregistrationv1.ClusterScope, admissionregistrationv1.NamespacedScope))...)
}

// alone wants something, and nothing beside "*".
func alone[T ~string](p *field.Path, items []T, what string) field.ErrorList {
	switch {
	case len(items) == 0:
		return check.One(field.Required(p, ""))
	case len(items) > 1 && slices.Contains(items, "*"):
		return check.One(field.Invalid(p, items, "if '*' is present, must not specify other "+what))
	}
	return nil
}

// resources are "pods", "pods/status", "pods/*", "*/scale", "*", "*/*"; none may say what another has said.
func resources(p *field.Path, list []string) field.ErrorList {
	if len(list) == 0 {
		return check.One(field.Required(p, ""))
	}
	var errs field.ErrorList
	allOf, ofAll := map[string]bool{}, map[string]bool{} // x/*, */x
	plain := false
	for i, s := range list {
		res, sub, has := strings.Cut(s, "/")
		switch {
		case s == "":
			errs = append(errs, field.Required(p.Index(i), ""))
			continue
		case !has:
			plain = s != "*"
			continue
		}
		if allOf[res] {
			errs = append(errs, field.Invalid(p.Index(i), s, fmt.Sprintf("if '%s/*' is present, must not specify %s", res, s)))
		}
		if ofAll[sub] {
			errs = append(errs, field.Invalid(p.Index(i), s, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, s)))
		}
		allOf[res] = allOf[res] || sub == "*"
		ofAll[sub] = ofAll[sub] || res == "*"
	}
	if len(list) > 1 && slices.Contains(list, "*/*") {
		errs = append(errs, field.Invalid(p, list, "if '*/*' is present, must not specify other resources"))
	}
	if plain && slices.Contains(list, "*") {
		errs = append(errs, field.Invalid(p, list, "if '*' is present, must not specify other resources without subresources"))
	}
	return errs
}
