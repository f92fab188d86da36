package admissionregistration

import (
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// ValidatingAdmissionPolicyBinding of the group admissionregistration.
func ValidatingAdmissionPolicyBinding() *api.Kind {
	return &api.Kind{
		Kind: "ValidatingAdmissionPolicyBinding", Resource: "validatingadmissionpolicybindings",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.ValidatingAdmissionPolicyBinding, admissionregistrationv1.ValidatingAdmissionPolicyBindingList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) { matchDefault(o.Spec.MatchResources) }),
		Validate: kit.To(func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			p := field.NewPath("spec")
			return append(policyBinding(p, o.Spec.PolicyName, o.Spec.ParamRef, o.Spec.MatchResources),
				validationActions(p.Child("validationActions"), o.Spec.ValidationActions)...)
		}),
		Columns: kit.Columns(
			kit.Column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
			kit.Column("ParamRef", "ParamRef indicates the param resource which sets the configration param")),
		Cells: kit.Cells(func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{o.Name, o.Spec.PolicyName, paramName(o.Spec.ParamRef), kit.Age(o, now)}
		}),
	}
}

func validationActions(p *field.Path, list []admissionregistrationv1.ValidationAction) field.ErrorList {
	if len(list) == 0 {
		return check.One(field.Required(p, "at least one validation action is required"))
	}
	var errs field.ErrorList
	for i, a := range list {
		errs = append(errs, check.Supported(p.Index(i), a, admissionregistrationv1.Audit, admissionregistrationv1.Deny, admissionregistrationv1.Warn)...)
		if slices.Contains(list[:i], a) {
			errs = append(errs, field.Duplicate(p.Index(i), a))
		}
	}
	if slices.Contains(list, admissionregistrationv1.Deny) && slices.Contains(list, admissionregistrationv1.Warn) {
		errs = append(errs, field.Invalid(p, list, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}
