package webhook

import (
	"context"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/api/expression"
	"github.com/dhow-project/dhow/internal/apiserver/admission/evaluate"
	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
)

// conditions are a webhook's match conditions, compiled when first asked (KEP-3716); nil for none.
type conditions func() evaluate.Conditions

func newConditions(list []admissionregistrationv1.MatchCondition) conditions {
	if len(list) == 0 {
		return nil
	}
	return sync.OnceValue(func() evaluate.Conditions {
		return evaluate.CompileConditions(expression.NewCompiler(), list, false)
	})
}

// conditionsMet asks the hook's match conditions. What they cannot decide is decided by the failure policy.
func (h *Hooks) conditionsMet(ctx context.Context, k *hook, s *subject, as match.As) (bool, error) {
	if k.conditions == nil {
		return true, nil
	}
	in, err := evaluate.NewInput(s.w, s.target, as, nil, h.Authorizer)
	if err != nil {
		return false, apierrors.NewInternalError(err)
	}
	ok, err := k.conditions().Match(ctx, in, nil, nil)
	switch {
	case err == nil:
		return ok, nil
	case k.ignore:
		return false, nil
	}
	h.Log.Warn("match conditions failed, so does the write", "webhook", k.name, "err", err)
	return false, apierrors.NewForbidden(s.target.Resource.GroupResource(), s.target.Name, err)
}
