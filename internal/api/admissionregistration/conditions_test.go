package admissionregistration

import (
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
)

func TestHookConditions(t *testing.T) {
	list := func(names ...string) []conditionList {
		out := conditionList{}
		for i := 0; i < len(names); i += 2 {
			out = append(out, admissionregistrationv1.MatchCondition{Name: names[i], Expression: names[i+1]})
		}
		return []conditionList{out}
	}
	bad := list("a", "object.")
	for _, tc := range []struct {
		hooks, old []conditionList
		want       string
	}{
		{list("a", "true", "b", `authorizer.group("").resource("pods").check("get").allowed()`), nil, ""},
		{list("a", "1"), nil, `webhooks[0].matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int`},
		{list("a", "params.x"), nil, `compilation failed: ERROR: <input>:1:1: undeclared reference to 'params'`},
		{bad, nil, `webhooks[0].matchConditions[0].expression: Invalid value: "object.": compilation failed: ERROR: <input>:1:8: Syntax error`},
		{bad, bad, ""}, // accepted once, unchanged
	} {
		err := hookConditions(tc.hooks, tc.old).ToAggregate()
		switch {
		case err == nil && tc.want != "", err != nil && (tc.want == "" || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%v: got %v, want %q", tc.hooks, err, tc.want)
		}
	}
}
