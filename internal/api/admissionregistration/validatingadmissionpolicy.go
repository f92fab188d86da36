package admissionregistration

import (
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/expression"
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
		Validate: kit.To(validating),
		ValidateCreate: kit.To(func(o *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
			return validatingExpressions(&o.Spec, &admissionregistrationv1.ValidatingAdmissionPolicySpec{})
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
			return validatingExpressions(&o.Spec, &old.Spec)
		}),
		Warnings: func(o, _ api.Object) []string { return reserved(o.GetName()) },
		Columns:  kit.Columns(kit.Int("Validations", "Validations indicates the number of validation rules defined in this configuration"), kit.Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")),
		Cells: kit.Cells(func(o *admissionregistrationv1.ValidatingAdmissionPolicy, now time.Time) []any {
			return []any{o.Name, int64(len(o.Spec.Validations)), paramKind(o.Spec.ParamKind), kit.Age(o, now)}
		}),
	}
}

func validating(o *admissionregistrationv1.ValidatingAdmissionPolicy) field.ErrorList {
	p := field.NewPath("spec")
	errs := append(policy(p, o.Spec.ParamKind, o.Spec.MatchConstraints, o.Spec.FailurePolicy),
		conditionNames(p.Child("matchConditions"), o.Spec.MatchConditions)...)
	if len(o.Spec.Validations) == 0 && len(o.Spec.AuditAnnotations) == 0 {
		const none = "validations or auditAnnotations must contain at least one item"
		return append(errs, field.Required(p.Child("validations"), none), field.Required(p.Child("auditAnnotations"), none))
	}
	for i := range o.Spec.Validations {
		errs = append(errs, oneValidation(p.Child("validations").Index(i), &o.Spec.Validations[i])...)
	}
	return append(errs, auditAnnotations(p.Child("auditAnnotations"), o.Name, o.Spec.AuditAnnotations)...)
}

func oneValidation(p *field.Path, v *admissionregistrationv1.Validation) field.ErrorList {
	var errs field.ErrorList
	if strings.TrimSpace(v.Expression) == "" {
		errs = append(errs, field.Required(p.Child("expression"), "expression is not specified"))
	}
	if v.MessageExpression != "" && strings.TrimSpace(v.MessageExpression) == "" {
		errs = append(errs, field.Invalid(p.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
	}
	return append(errs, check.Join(oneLine(p.Child("message"), v.Message),
		check.OptionalOf(p.Child("reason"), v.Reason, metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge))...)
}

// The limits of audit annotations. A value is shorter than what it may evaluate to: expressions join texts.
const (
	maxAuditAnnotations = 20
	maxValueExpression  = 5 << 10 // bytes
)

func auditAnnotations(p *field.Path, policy string, list []admissionregistrationv1.AuditAnnotation) field.ErrorList {
	var errs field.ErrorList
	if len(list) > maxAuditAnnotations {
		errs = append(errs, field.Invalid(p, list, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations)))
	}
	keys := map[string]bool{}
	for i, a := range list {
		ip := p.Index(i)
		if policy == "" {
			errs = append(errs, field.Invalid(ip.Child("key"), a.Key, "requires metadata.name be non-empty"))
		} else {
			errs = append(errs, check.QualifiedName(ip.Child("key"), policy+"/"+a.Key)...)
		}
		switch s := strings.TrimSpace(a.ValueExpression); {
		case s == "":
			errs = append(errs, field.Required(ip.Child("valueExpression"), "valueExpression is not specified"))
		case len(s) > maxValueExpression:
			errs = append(errs, field.Required(ip.Child("valueExpression"), fmt.Sprintf("must not exceed %d bytes in length", maxValueExpression)))
		}
		if keys[a.Key] {
			errs = append(errs, field.Duplicate(ip.Child("key"), a.Key))
		}
		keys[a.Key] = true
	}
	return errs
}

// validatingExpressions checks that expressions compile; what did not change since old did.
func validatingExpressions(s, old *admissionregistrationv1.ValidatingAdmissionPolicySpec) field.ErrorList {
	if equality.Semantic.DeepEqual(s, old) {
		return nil
	}
	p, params := field.NewPath("spec"), s.ParamKind != nil
	errs := conditions(p.Child("matchConditions"), s.MatchConditions, old.MatchConditions, params, params != (old.ParamKind != nil))
	e := newExpressions(len(s.Variables) > 0, params, knownOf(old))
	errs = append(errs, e.variables(p.Child("variables"), s.Variables)...)
	for i, v := range s.Validations {
		ip := p.Child("validations").Index(i)
		errs = append(errs, check.Join(e.check(ip.Child("expression"), v.Expression, e.vars, expression.Boolean()),
			e.check(ip.Child("messageExpression"), v.MessageExpression, expression.Vars{Params: params}, expression.Text()))...)
	}
	for i, a := range s.AuditAnnotations {
		if len(a.ValueExpression) <= maxValueExpression {
			errs = append(errs, e.check(p.Child("auditAnnotations").Index(i).Child("valueExpression"), a.ValueExpression, e.vars, expression.Annotation())...)
		}
	}
	return errs
}

func knownOf(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) map[string]bool {
	out := map[string]bool{}
	for _, v := range s.Variables {
		out[v.Expression] = true
	}
	for _, v := range s.Validations {
		out[v.Expression], out[v.MessageExpression] = true, true
	}
	for _, a := range s.AuditAnnotations {
		out[a.ValueExpression] = true
	}
	return out
}
