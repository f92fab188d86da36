package admissionregistration

import (
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// MutatingAdmissionPolicy of the group admissionregistration.
func MutatingAdmissionPolicy() *api.Kind {
	return &api.Kind{
		Kind: "MutatingAdmissionPolicy", Resource: "mutatingadmissionpolicies",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.MutatingAdmissionPolicy, admissionregistrationv1.MutatingAdmissionPolicyList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
		Default: kit.On(func(o *admissionregistrationv1.MutatingAdmissionPolicy) {
			poddefault.Set(&o.Spec.FailurePolicy, admissionregistrationv1.Fail)
			matchDefault(o.Spec.MatchConstraints)
		}),
		Validate: kit.To(func(o *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
			p := field.NewPath("spec")
			errs := policy(p, o.Spec.ParamKind, o.Spec.MatchConstraints, o.Spec.FailurePolicy)
			if len(o.Spec.Mutations) == 0 {
				errs = append(errs, field.Required(p.Child("mutations"), "mutations must contain at least one item"))
			}
			errs = append(errs, check.OneOf(p.Child("reinvocationPolicy"), o.Spec.ReinvocationPolicy,
				admissionregistrationv1.IfNeededReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy)...)
			return errs
		}),
		Columns: kit.Columns(kit.Int("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"), kit.Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")),
		Cells: kit.Cells(func(o *admissionregistrationv1.MutatingAdmissionPolicy, now time.Time) []any {
			return []any{o.Name, int64(len(o.Spec.Mutations)), paramKind(o.Spec.ParamKind), kit.Age(o, now)}
		}),
	}
}
