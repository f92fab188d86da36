package evaluate

import (
	"context"
	"fmt"
	"math"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apimachinery/pkg/runtime"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/lazy"

	"github.com/dhow-project/dhow/internal/api/expression"
)

// Variable is a composed variable of a policy.
type Variable struct {
	Name string
	expression.Compiled
}

// Variables are those of a policy, and their type.
type Variables struct {
	Type *apiservercel.DeclType
	List []Variable
}

// Result of one expression: a value, or what went wrong in it.
type Result struct {
	Value ref.Val
	Err   error
}

// Run is a group of expressions that share the values of variables. It is a CEL activation.
type Run struct {
	ctx       context.Context
	in        *Input
	params    any
	authz     bool
	nowhere   bool // namespaceObject is null, as for match conditions
	variables *lazy.MapValue
	spent     uint64 // by variables since the last expression
	failed    error  // while making a value
}

var _ interpreter.Activation = (*Run)(nil)

// NewRun prepares expressions over in; params may be nil, v too.
func NewRun(ctx context.Context, in *Input, params runtime.Object, authorizer bool, v *Variables) (*Run, error) {
	p, err := plain(params)
	if err != nil {
		return nil, fmt.Errorf("failed to prepare params variable for evaluation: %w", err)
	}
	r := &Run{ctx: ctx, in: in, params: p, authz: authorizer && in.Authorizer != nil}
	if v != nil {
		r.variables = lazy.NewMapValue(v.Type)
		for _, one := range v.List {
			r.variables.Append(one.Name, func(*lazy.MapValue) ref.Val { return r.variable(one) })
		}
	}
	return r, nil
}

// ResolveName implements interpreter.Activation.
func (r *Run) ResolveName(name string) (any, bool) {
	switch name {
	case expression.Object:
		return r.made(r.in.object())
	case expression.OldObject:
		return r.made(r.in.oldObject())
	case expression.Request:
		return r.made(r.in.request())
	case expression.Namespace:
		if r.nowhere {
			return nil, true
		}
		return r.made(r.in.namespace())
	case expression.Params:
		return r.params, true
	case expression.Authorizer:
		return r.in.authorizer(), r.authz
	case expression.RequestResource:
		return r.in.requestResource(), r.authz
	case expression.Variables:
		return r.variables, r.variables != nil
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (r *Run) Parent() interpreter.Activation { return nil }

func (r *Run) made(v any, err error) (any, bool) {
	if err != nil && r.failed == nil {
		r.failed = err
	}
	return v, true
}

// variable evaluates a variable when it is first used.
func (r *Run) variable(v Variable) ref.Val {
	if v.Err != nil {
		return types.NewErr("composited variable %q fails to compile: %v", v.Name, v.Err)
	}
	out, details, err := v.Program.ContextEval(r.ctx, r)
	if details == nil {
		return types.NewErr("unable to get evaluation details of variable %q", v.Name)
	}
	cost := details.ActualCost()
	if cost == nil {
		return types.NewErr("unable to calculate cost of variable %q", v.Name)
	}
	r.spent += *cost
	if err != nil {
		return types.NewErr("composited variable %q fails to evaluate: %v", v.Name, err)
	}
	return out
}

// Eval runs an expression and takes its cost from budget. An error, unlike one in the result, ends the whole group.
func (r *Run) Eval(c expression.Compiled, budget *int64) (Result, error) {
	if c.Err != nil {
		return Result{Err: &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Detail: "compilation error: " + c.Err.Error(), Cause: c.Err}}, nil
	}
	out, details, err := c.Program.ContextEval(r.ctx, r)
	if r.failed != nil {
		return Result{}, r.failed
	}
	if e := spend(r.spent, budget); e != nil {
		return Result{}, e
	}
	r.spent = 0
	if details == nil {
		return Result{}, &apiservercel.Error{Type: apiservercel.ErrorTypeInternal, Detail: uncounted(c)}
	}
	cost := details.ActualCost()
	if cost == nil {
		return Result{}, &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Detail: uncounted(c), Cause: apiservercel.ErrOutOfBudget}
	}
	if e := spend(*cost, budget); e != nil {
		return Result{}, e
	}
	if err != nil {
		return Result{Err: &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Detail: fmt.Sprintf("expression '%v' resulted in error: %v", c.Source, err)}}, nil
	}
	return Result{Value: out}, nil
}

func uncounted(c expression.Compiled) string {
	return fmt.Sprintf("runtime cost could not be calculated for expression: %v, no further expression will be run", c.Source)
}

func spend(cost uint64, budget *int64) error {
	if cost > math.MaxInt64 || int64(cost) > *budget {
		return &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Cause: apiservercel.ErrOutOfBudget,
			Detail: "validation failed due to running out of cost budget, no further validation rules will be run"}
	}
	*budget -= int64(cost)
	return nil
}
