package admissionregistration

import (
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
)

// MutatingAdmissionPolicyBinding of the group admissionregistration.
func MutatingAdmissionPolicyBinding() *api.Kind {
	return &api.Kind{
		Kind: "MutatingAdmissionPolicyBinding", Resource: "mutatingadmissionpolicybindings",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.MutatingAdmissionPolicyBinding, admissionregistrationv1.MutatingAdmissionPolicyBindingList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default:       kit.On(func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) { matchDefault(o.Spec.MatchResources) }),
		Validate: kit.To(func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding) field.ErrorList {
			p := field.NewPath("spec")
			return append(policyBinding(p, o.Spec.PolicyName, o.Spec.ParamRef, o.Spec.MatchResources),
				notDeleting(p.Child("matchResources"), o.Spec.MatchResources)...)
		}),
		Columns: kit.Columns(
			kit.Column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
			kit.Column("ParamRef", "ParamRef indicates the param resource which sets the configration param")),
		Cells: kit.Cells(func(o *admissionregistrationv1.MutatingAdmissionPolicyBinding, now time.Time) []any {
			return []any{o.Name, o.Spec.PolicyName, paramName(o.Spec.ParamRef), kit.Age(o, now)}
		}),
	}
}
