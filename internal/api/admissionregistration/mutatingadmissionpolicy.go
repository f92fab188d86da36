package admissionregistration

import (
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/check"
	"github.com/dhow-project/dhow/internal/api/expression"
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
		Validate: kit.To(mutating),
		ValidateCreate: kit.To(func(o *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
			return mutatingExpressions(&o.Spec, &admissionregistrationv1.MutatingAdmissionPolicySpec{})
		}),
		ValidateUpdate: kit.ToBoth(func(o, old *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
			return mutatingExpressions(&o.Spec, &old.Spec)
		}),
		Warnings: func(o, _ api.Object) []string { return reserved(o.GetName()) },
		Columns:  kit.Columns(kit.Int("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"), kit.Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")),
		Cells: kit.Cells(func(o *admissionregistrationv1.MutatingAdmissionPolicy, now time.Time) []any {
			return []any{o.Name, int64(len(o.Spec.Mutations)), paramKind(o.Spec.ParamKind), kit.Age(o, now)}
		}),
	}
}

func mutating(o *admissionregistrationv1.MutatingAdmissionPolicy) field.ErrorList {
	p := field.NewPath("spec")
	errs := check.Join(policy(p, o.Spec.ParamKind, o.Spec.MatchConstraints, o.Spec.FailurePolicy),
		notDeleting(p.Child("matchConstraints"), o.Spec.MatchConstraints), conditionNames(p.Child("matchConditions"), o.Spec.MatchConditions))
	if len(o.Spec.Mutations) == 0 {
		errs = append(errs, field.Required(p.Child("mutations"), "mutations must contain at least one item"))
	}
	for i := range o.Spec.Mutations {
		errs = append(errs, mutation(p.Child("mutations").Index(i), &o.Spec.Mutations[i])...)
	}
	return append(errs, check.OneOf(p.Child("reinvocationPolicy"), o.Spec.ReinvocationPolicy,
		admissionregistrationv1.IfNeededReinvocationPolicy, admissionregistrationv1.NeverReinvocationPolicy)...)
}

func mutation(p *field.Path, m *admissionregistrationv1.Mutation) field.ErrorList {
	patch, config := p.Child("jsonPatch"), p.Child("applyConfiguration")
	switch m.PatchType {
	case admissionregistrationv1.PatchTypeJSONPatch:
		var errs field.ErrorList
		if m.JSONPatch == nil {
			errs = append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		} else if strings.TrimSpace(m.JSONPatch.Expression) == "" {
			errs = append(errs, field.Required(patch.Child("expression"), ""))
		}
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Invalid(config, "{applyConfiguration}", "must not be specified when patchType is JSONPatch"))
		}
		return errs
	case admissionregistrationv1.PatchTypeApplyConfiguration:
		var errs field.ErrorList
		if m.ApplyConfiguration == nil {
			errs = append(errs, field.Required(config, "must be specified when patchType is ApplyConfiguration"))
		} else if strings.TrimSpace(m.ApplyConfiguration.Expression) == "" {
			errs = append(errs, field.Required(config.Child("expression"), ""))
		}
		if m.JSONPatch != nil {
			errs = append(errs, field.Invalid(patch, "{jsonPatch}", "must not be specified when patchType is ApplyConfiguration"))
		}
		return errs
	}
	return check.OneOf(p.Child("patchType"), m.PatchType, admissionregistrationv1.PatchTypeApplyConfiguration, admissionregistrationv1.PatchTypeJSONPatch)
}

// mutatingExpressions checks that expressions compile; what did not change since old did.
func mutatingExpressions(s, old *admissionregistrationv1.MutatingAdmissionPolicySpec) field.ErrorList {
	if equality.Semantic.DeepEqual(s, old) {
		return nil
	}
	p, params := field.NewPath("spec"), s.ParamKind != nil
	known := map[string]bool{}
	for _, v := range old.Variables {
		known[v.Expression] = true
	}
	for i := range old.Mutations {
		source, _ := changing(&old.Mutations[i])
		known[source] = true
	}
	errs := conditions(p.Child("matchConditions"), s.MatchConditions, old.MatchConditions, params, params != (old.ParamKind != nil))
	e := newExpressions(true, params, known)
	errs = append(errs, e.variables(p.Child("variables"), s.Variables)...)
	for i := range s.Mutations {
		ip := p.Child("mutations").Index(i)
		v := e.vars
		v.Patch = true
		source, patch := changing(&s.Mutations[i])
		if patch {
			errs = append(errs, e.check(ip.Child("jsonPatch", "expression"), source, v, expression.Patches())...)
		} else {
			errs = append(errs, e.check(ip.Child("applyConfiguration", "expression"), source, v, expression.Configuration())...)
		}
	}
	return errs
}

// changing is a mutation's expression, and whether it makes a JSON patch.
func changing(m *admissionregistrationv1.Mutation) (source string, patch bool) {
	switch {
	case m.PatchType == admissionregistrationv1.PatchTypeJSONPatch && m.JSONPatch != nil:
		return strings.TrimSpace(m.JSONPatch.Expression), true
	case m.PatchType == admissionregistrationv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil:
		return strings.TrimSpace(m.ApplyConfiguration.Expression), false
	}
	return "", false
}
