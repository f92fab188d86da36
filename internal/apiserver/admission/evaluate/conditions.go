package evaluate

import (
	"context"

	"github.com/google/cel-go/common/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/dhow-project/dhow/internal/api/expression"
)

// Conditions are compiled match conditions. They are safe for concurrent use.
type Conditions []expression.Compiled

// CompileConditions compiles stored match conditions. One that does not compile is an error when it is asked.
func CompileConditions(c *expression.Compiler, list []admissionregistrationv1.MatchCondition, params bool) Conditions {
	out := make(Conditions, len(list))
	for i, m := range list {
		out[i] = c.Compile(m.Expression, expression.Vars{Params: params, Authorizer: true}, expression.Stored, expression.Boolean())
	}
	return out
}

// Match reports whether all conditions hold. One that is false decides, whatever else went wrong (KEP-3716).
// params and v may be nil.
func (c Conditions) Match(ctx context.Context, in *Input, params runtime.Object, v *Variables) (bool, error) {
	if len(c) == 0 {
		return true, nil
	}
	r, err := NewRun(ctx, in, params, true, v)
	if err != nil {
		return false, err
	}
	r.nowhere = true
	budget := int64(celconfig.RuntimeCELCostBudgetMatchConditions)
	results := make([]Result, len(c))
	for i := range c {
		if results[i], err = r.Eval(c[i], &budget); err != nil {
			return false, err
		}
	}
	var errs []error
	for _, res := range results {
		if res.Err != nil {
			errs = append(errs, res.Err)
		} else if res.Value == types.False {
			return false, nil
		}
	}
	if len(errs) > 0 {
		return false, utilerrors.NewAggregate(errs)
	}
	return true, nil
}
