package admissionregistration

import (
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
			errs := check.Join(check.Present(p.Child("policyName"), o.Spec.PolicyName), paramRef(p.Child("paramRef"), o.Spec.ParamRef))
			if len(o.Spec.ValidationActions) == 0 {
				errs = append(errs, field.Required(p.Child("validationActions"), "at least one validation action is required"))
			}
			for i, a := range o.Spec.ValidationActions {
				errs = append(errs, check.Supported(p.Child("validationActions").Index(i), a, admissionregistrationv1.Audit, admissionregistrationv1.Deny, admissionregistrationv1.Warn)...)
			}
			return errs
		}),
		Columns: kit.Columns(
			kit.Column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
			kit.Column("ParamRef", "ParamRef indicates the param resource which sets the configration param")),
		Cells: kit.Cells(func(o *admissionregistrationv1.ValidatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{o.Name, o.Spec.PolicyName, paramName(o.Spec.ParamRef), kit.Age(o, now)}
		}),
	}
}
