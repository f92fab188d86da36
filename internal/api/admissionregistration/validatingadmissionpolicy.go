package admissionregistration

import (
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/kit"
	"github.com/dhow-project/dhow/internal/api/poddefault"
)

// ValidatingAdmissionPolicy of the group admissionregistration.
func ValidatingAdmissionPolicy() *api.Kind {
	halves := kit.Split(
		func(o *admissionregistrationv1.ValidatingAdmissionPolicy) *admissionregistrationv1.ValidatingAdmissionPolicySpec {
			return &o.Spec
		},
		func(o *admissionregistrationv1.ValidatingAdmissionPolicy) *admissionregistrationv1.ValidatingAdmissionPolicyStatus {
			return &o.Status
		})
	return &api.Kind{
		Kind: "ValidatingAdmissionPolicy", Resource: "validatingadmissionpolicies",
		Categories:    []string{"api-extensions"},
		Versions:      []api.Version{kit.Served[admissionregistrationv1.ValidatingAdmissionPolicy, admissionregistrationv1.ValidatingAdmissionPolicyList](admissionregistrationv1.SchemeGroupVersion)},
		HasGeneration: true,
		PrepareCreate: halves.ClearStatus,
		PrepareUpdate: halves.KeepStatus,
		Subresources: []api.Subresource{
			halves.StatusSub(),
		},
		Default: kit.On(func(o *admissionregistrationv1.ValidatingAdmissionPolicy) {
			poddefault.Set(&o.Spec.FailurePolicy, admissionregistrationv1.Fail)
			matchDefault(o.Spec.MatchConstraints)
		}),
		Validate: kit.To(func(o *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
			p := field.NewPath("spec")
			errs := policy(p, o.Spec.ParamKind, o.Spec.MatchConstraints, o.Spec.FailurePolicy)
			if len(o.Spec.Validations) == 0 && len(o.Spec.AuditAnnotations) == 0 {
				errs = append(errs, field.Required(p.Child("validations"), "validations or auditAnnotations must be non-empty"))
			}
			for i, v := range o.Spec.Validations {
				if strings.TrimSpace(v.Expression) == "" {
					errs = append(errs, field.Required(p.Child("validations").Index(i).Child("expression"), "expression is not specified"))
				}
			}
			return errs
		}),
		Columns: kit.Columns(kit.Int("Validations", "Validations indicates the number of validation rules defined in this configuration"), kit.Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")),
		Cells: kit.Cells(func(o *admissionregistrationv1.ValidatingAdmissionPolicy, now time.Time) []any {
			return []any{o.Name, int64(len(o.Spec.Validations)), paramKind(o.Spec.ParamKind), kit.Age(o, now)}
		}),
	}
}
