package webhook

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dhow-project/dhow/internal/apiserver/admission/match"
)

// conditions are a webhook's match conditions.
type conditions struct {
	list []admissionregistrationv1.MatchCondition
}

func newConditions(list []admissionregistrationv1.MatchCondition) *conditions {
	return &conditions{list: list}
}

func (h *Hooks) conditionsMet(ctx context.Context, k *hook, s *subject, as match.As) (bool, error) {
	return true, nil
}
