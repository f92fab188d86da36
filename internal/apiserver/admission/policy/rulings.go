package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/common/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"

	"github.com/dhow-project/dhow/internal/api/expression"
	"github.com/dhow-project/dhow/internal/apiserver/admission/evaluate"
)

// rulings are the compiled expressions of a validating policy. They are safe for concurrent use.
type rulings struct {
	variables   *evaluate.Variables
	conditions  evaluate.Conditions
	validations []validation
	annotations []annotation
}

type validation struct {
	expression.Compiled
	message *expression.Compiled // nil without messageExpression
	spec    *admissionregistrationv1.Validation
}

type annotation struct {
	expression.Compiled
	key string
}

func compileRulings(s *admissionregistrationv1.ValidatingAdmissionPolicySpec) *rulings {
	c, v := expression.NewComposed(), expression.Vars{Params: s.ParamKind != nil, Authorizer: true}
	out := &rulings{variables: compileVariables(c, s.Variables, v), conditions: evaluate.CompileConditions(c, s.MatchConditions, v.Params)}
	for i := range s.Validations {
		one := &s.Validations[i]
		r := validation{Compiled: c.Compile(one.Expression, v, expression.Stored, expression.Boolean()), spec: one}
		if one.MessageExpression != "" {
			m := c.Compile(one.MessageExpression, expression.Vars{Params: v.Params}, expression.Stored, expression.Text())
			r.message = &m
		}
		out.validations = append(out.validations, r)
	}
	for _, a := range s.AuditAnnotations {
		out.annotations = append(out.annotations, annotation{c.Compile(a.ValueExpression, v, expression.Stored, expression.Annotation()), a.Key})
	}
	return out
}

func compileVariables(c *expression.Compiler, list []admissionregistrationv1.Variable, v expression.Vars) *evaluate.Variables {
	out := &evaluate.Variables{Type: c.VariablesType()}
	for _, one := range list {
		out.List = append(out.List, evaluate.Variable{Name: one.Name, Compiled: c.Variable(one.Name, one.Expression, v, expression.Stored)})
	}
	return out
}

// decision of one validation.
type decision struct {
	deny    bool
	message string
	reason  metav1.StatusReason
}

type note struct{ key, value string }

// decide asks about one parameter. wrong are annotations that went wrong; they deny whatever the binding says.
func (r *rulings) decide(ctx context.Context, in *evaluate.Input, params runtime.Object, ignore bool) (ds []decision, notes []note, wrong []string) {
	failed := func(err error) []decision { return []decision{{deny: !ignore, message: err.Error()}} }
	ok, err := r.conditions.Match(ctx, in, params, r.variables)
	switch {
	case err != nil:
		return failed(err), nil, nil
	case !ok:
		return nil, nil, nil
	}
	budget := int64(celconfig.RuntimeCELCostBudget)
	ds, err = r.validate(ctx, in, params, ignore, &budget)
	if err != nil {
		return failed(err), nil, nil
	}
	notes, wrong, err = r.annotate(ctx, in, params, ignore)
	if err != nil {
		return failed(err), nil, nil
	}
	return ds, notes, wrong
}

func (r *rulings) validate(ctx context.Context, in *evaluate.Input, params runtime.Object, ignore bool, budget *int64) ([]decision, error) {
	run, err := evaluate.NewRun(ctx, in, params, true, r.variables)
	if err != nil {
		return nil, err
	}
	out := make([]decision, len(r.validations))
	denied := false
	for i := range r.validations {
		res, err := run.Eval(r.validations[i].Compiled, budget)
		switch {
		case err != nil:
			return nil, err
		case res.Err != nil:
			out[i] = decision{deny: !ignore, message: res.Err.Error()}
		case res.Value != types.True:
			out[i] = decision{deny: true, reason: metav1.StatusReasonInvalid}
			if s := r.validations[i].spec.Reason; s != nil {
				out[i].reason = *s
			}
			denied = true
		}
	}
	if denied {
		r.explain(ctx, in, params, ignore, out, *budget)
	}
	return out, nil
}

// explain fills in the messages of what was denied.
func (r *rulings) explain(ctx context.Context, in *evaluate.Input, params runtime.Object, ignore bool, ds []decision, budget int64) {
	run, fatal := evaluate.NewRun(ctx, in, params, false, r.variables)
	said := make([]evaluate.Result, len(ds))
	for i := range r.validations {
		if m := r.validations[i].message; m != nil && fatal == nil {
			said[i], fatal = run.Eval(*m, &budget)
		}
	}
	for i := range ds {
		switch {
		case !ds[i].deny || ds[i].message != "":
		case errors.Is(fatal, apiservercel.ErrInternal), errors.Is(fatal, apiservercel.ErrOutOfBudget):
			ds[i] = decision{deny: !ignore, message: fmt.Sprintf("failed messageExpression: %s", fatal)}
		case fatal != nil:
			ds[i].message = message(evaluate.Result{}, r.validations[i].spec)
		default:
			ds[i].message = message(said[i], r.validations[i].spec)
		}
	}
}

// message prefers what messageExpression says, if it says one line that is not too long; then the message, then the expression.
func message(res evaluate.Result, v *admissionregistrationv1.Validation) string {
	if res.Err == nil && res.Value != nil {
		if s, ok := res.Value.Value().(string); ok {
			s = strings.TrimSpace(s)
			if s != "" && len(s) <= celconfig.MaxEvaluatedMessageExpressionSizeBytes && !strings.Contains(s, "\n") {
				return s
			}
		}
	}
	if s := strings.TrimSpace(v.Message); s != "" {
		return s
	}
	return "failed expression: " + strings.TrimSpace(v.Expression)
}

func (r *rulings) annotate(ctx context.Context, in *evaluate.Input, params runtime.Object, ignore bool) (notes []note, wrong []string, err error) {
	if len(r.annotations) == 0 {
		return nil, nil, nil
	}
	run, err := evaluate.NewRun(ctx, in, params, false, r.variables)
	if err != nil {
		return nil, nil, err
	}
	budget := int64(celconfig.RuntimeCELCostBudget)
	for _, a := range r.annotations {
		res, err := run.Eval(a.Compiled, &budget)
		switch {
		case err != nil:
			return nil, nil, err
		case res.Err != nil && ignore:
		case res.Err != nil:
			wrong = append(wrong, res.Err.Error())
		case res.Value.Type() == types.StringType:
			if s := strings.TrimSpace(res.Value.Value().(string)); s != "" {
				notes = append(notes, note{a.key, s})
			}
		case res.Value.Type() != types.NullType:
			wrong = append(wrong, fmt.Sprintf("valueExpression '%v' resulted in unsupported return type: %v. Return type must be either string or null.",
				a.Source, res.Value.Type()))
		}
	}
	return notes, wrong, nil
}
