package admissionregistration

import (
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
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

// policy checks what both kinds of policies have in common, but for expressions.
func policy(p *field.Path, kind *admissionregistrationv1.ParamKind, m *admissionregistrationv1.MatchResources, failure *admissionregistrationv1.FailurePolicyType) field.ErrorList {
	errs := check.OptionalOf(p.Child("failurePolicy"), failure, admissionregistrationv1.Fail, admissionregistrationv1.Ignore)
	if kind != nil {
		errs = append(errs, kindOfParams(p.Child("paramKind"), kind)...)
	}
	mp := p.Child("matchConstraints")
	if m == nil {
		return append(errs, field.Required(mp, ""))
	}
	errs = append(errs, matchResources(mp, m)...)
	if len(m.ResourceRules) == 0 {
		errs = append(errs, field.Required(mp.Child("resourceRules"), ""))
	}
	return errs
}

func matchResources(p *field.Path, m *admissionregistrationv1.MatchResources) field.ErrorList {
	if m == nil {
		return nil
	}
	return check.Join(
		check.OptionalOf(p.Child("matchPolicy"), m.MatchPolicy, admissionregistrationv1.Equivalent, admissionregistrationv1.Exact),
		check.Selector(p.Child("namespaceSelector"), m.NamespaceSelector), check.Selector(p.Child("objectSelector"), m.ObjectSelector),
		namedRules(p.Child("resourceRules"), m.ResourceRules), namedRules(p.Child("excludeResourceRules"), m.ExcludeResourceRules))
}

// kindOfParams wants a group, version and kind that could exist.
func kindOfParams(p *field.Path, k *admissionregistrationv1.ParamKind) field.ErrorList {
	var errs field.ErrorList
	group, version, has := strings.Cut(k.APIVersion, "/")
	if !has {
		group, version = "", k.APIVersion
	}
	ap := p.Child("apiVersion")
	switch {
	case k.APIVersion == "":
		errs = append(errs, field.Required(ap, ""))
	case strings.Contains(version, "/"):
		errs = append(errs, field.Invalid(ap, k.APIVersion, "unexpected GroupVersion string: "+k.APIVersion))
	case version == "":
		errs = append(errs, field.Invalid(ap, k.APIVersion, "version must be specified"))
	default:
		if group != "" {
			errs = append(errs, joined(ap, group, validation.IsDNS1123Subdomain(group), "")...)
		}
		errs = append(errs, joined(ap, version, validation.IsDNS1035Label(version), "")...)
	}
	if k.Kind == "" {
		return append(errs, field.Required(p.Child("kind"), ""))
	}
	return append(errs, joined(p.Child("kind"), k.Kind, validation.IsDNS1035Label(strings.ToLower(k.Kind)), "may have mixed case, but should otherwise match: ")...)
}

func joined(p *field.Path, value string, why []string, before string) field.ErrorList {
	if len(why) == 0 {
		return nil
	}
	return check.One(field.Invalid(p, value, before+strings.Join(why, ",")))
}

// policyBinding checks what both kinds of bindings have in common.
func policyBinding(p *field.Path, name string, ref *admissionregistrationv1.ParamRef, m *admissionregistrationv1.MatchResources) field.ErrorList {
	errs := check.Present(p.Child("policyName"), name)
	if name != "" {
		errs = check.DNSSubdomain(p.Child("policyName"), name)
	}
	return append(errs, check.Join(paramRef(p.Child("paramRef"), ref), matchResources(p.Child("matchResources"), m))...)
}

func paramRef(p *field.Path, r *admissionregistrationv1.ParamRef) field.ErrorList {
	if r == nil {
		return nil
	}
	const both = "name and selector are mutually exclusive"
	var errs field.ErrorList
	if r.Name != "" {
		errs = append(errs, check.Invalid(p.Child("name"), r.Name, path.IsValidPathSegmentName(r.Name))...)
	}
	switch {
	case r.Name != "" && r.Selector != nil:
		errs = append(errs, field.Forbidden(p.Child("name"), both))
		errs = append(errs, check.Selector(p.Child("selector"), r.Selector)...)
		errs = append(errs, field.Forbidden(p.Child("selector"), both))
	case r.Selector != nil:
		errs = append(errs, check.Selector(p.Child("selector"), r.Selector)...)
	case r.Name == "":
		errs = append(errs, field.Required(p, "one of name or selector must be specified"))
	}
	if a := r.ParameterNotFoundAction; a == nil || *a == "" {
		return append(errs, field.Required(p.Child("parameterNotFoundAction"), ""))
	}
	return append(errs, check.Supported(p.Child("parameterNotFoundAction"), *r.ParameterNotFoundAction, admissionregistrationv1.DenyAction, admissionregistrationv1.AllowAction)...)
}

// notDeleting refuses what a mutating policy cannot have: there is nothing to change in a deletion.
func notDeleting(p *field.Path, m *admissionregistrationv1.MatchResources) field.ErrorList {
	var errs field.ErrorList
	if m == nil {
		return nil
	}
	for _, r := range m.ResourceRules {
		for _, o := range r.Operations {
			errs = append(errs, check.Supported(p.Child("resourceRules", "operations"), o, admissionregistrationv1.OperationAll,
				admissionregistrationv1.Connect, admissionregistrationv1.Create, admissionregistrationv1.Update)...)
		}
	}
	return errs
}

// reserved warns of names that belong to manifests of other servers.
func reserved(name string) []string {
	const suffix = ".static.k8s.io"
	if !strings.HasSuffix(name, suffix) {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: names ending with %q are reserved for static manifest-based configurations and cannot be managed via the API", suffix)}
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
