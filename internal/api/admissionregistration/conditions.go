package admissionregistration

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/dhow-project/dhow/internal/api/expression"
)

type conditionList = []admissionregistrationv1.MatchCondition

// hookConditions checks that the match conditions of a configuration's webhooks compile (KEP-3716). old are those it
// had. When none changed, none is checked: what was accepted once stays accepted.
func hookConditions(hooks, old []conditionList) field.ErrorList {
	if slices.EqualFunc(hooks, old, slices.Equal) {
		return nil
	}
	known := map[string]bool{}
	for _, list := range old {
		for _, c := range list {
			known[strings.TrimSpace(c.Expression)] = true
		}
	}
	e := newExpressions(false, false, known)
	var errs field.ErrorList
	for i, list := range hooks {
		p := field.NewPath("webhooks").Index(i).Child("matchConditions")
		for j, c := range list {
			errs = append(errs, e.check(p.Index(j).Child("expression"), strings.TrimSpace(c.Expression), e.vars, expression.Boolean())...)
		}
	}
	return errs
}
