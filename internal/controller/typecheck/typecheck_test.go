package typecheck

import (
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func spec(resource, expression, message string) admissionregistrationv1.ValidatingAdmissionPolicySpec {
	return admissionregistrationv1.ValidatingAdmissionPolicySpec{
		ParamKind: &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
		MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{Operations: []admissionregistrationv1.OperationType{"*"},
				Rule: admissionregistrationv1.Rule{APIGroups: []string{"apps", "autoscaling"}, APIVersions: []string{"v1", "v2"}, Resources: []string{resource, "pods/status"}}},
		}}},
		Variables:   []admissionregistrationv1.Variable{{Name: "replicas", Expression: "object.spec.replicas"}, {Name: "wrong", Expression: "nothing"}},
		Validations: []admissionregistrationv1.Validation{{Expression: expression, MessageExpression: message}},
	}
}

func TestWarnings(t *testing.T) {
	registry := api.NewRegistry(all.Kinds())
	for _, tc := range []struct {
		resource, expression, message string
		want                          []string // parts of warnings, in order
	}{
		{"deployments", "object.spec.replicas > 1", "", nil},
		{"deployments", "object.spec.replicas > '1'", "'got ' + object.spec.replicas", []string{
			"spec.validations[0].expression: apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'",
			"spec.validations[0].messageExpression: apps/v1, Kind=Deployment: ERROR: <input>:1:8: found no matching overload for '_+_' applied to '(string, int)'"}},
		{"deployments", "object.spec.replcas > 1", "", []string{"undefined field 'replcas'"}},
		{"deployments", "variables.replicas > '1'", "", []string{"'(int, string)'"}},
		{"deployments", "variables.wrong > '1'", "", nil},
		{"deployments", "object.spec.template.spec.containers.all(c, c.image.startsWith('a') && c.resources.limits['cpu'] != null)", "", nil},
		{"deployments", "object.metadata.creationTimestamp < timestamp('2000-01-01T00:00:00Z') && object.spec.strategy.rollingUpdate.maxSurge == 1", "", nil},
		{"deployments", "params.data.a == object.metadata.name && request.userInfo.username == '' && authorizer.path('/').check('get').allowed()", "", nil},
		{"deployments", "params.data.a == 1", "", []string{"'_==_' applied to '(string, int)'"}},
		{"horizontalpodautoscalers", "object.spec.metrics.size() > 0", "", []string{"autoscaling/v1, Kind=HorizontalPodAutoscaler: ERROR: <input>:1:12: undefined field 'metrics'"}},
		{"*", "object.nothing", "", nil},
		{"nothings", "object.nothing", "", nil},
	} {
		s := spec(tc.resource, tc.expression, tc.message)
		got := warnings(registry, &s)
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v, want %q", tc.expression, got, tc.want)
			continue
		}
		for i, w := range got {
			if text := w.FieldRef + ": " + w.Warning; !strings.Contains(text, tc.want[i]) {
				t.Errorf("%s: %q, want %q", tc.expression, text, tc.want[i])
			}
		}
	}
}

func TestStatus(t *testing.T) {
	p := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: spec("deployments", "object.spec.replcas > 1", "")}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{p}, func(r *test.Rig) {
		r.Settle()
		got := test.Get[*admissionregistrationv1.ValidatingAdmissionPolicy](r, "", "p")
		if s := got.Status; s.ObservedGeneration != got.Generation || s.TypeChecking == nil || len(s.TypeChecking.ExpressionWarnings) != 1 {
			t.Fatalf("status %+v", s)
		}
		test.Change(r, "", "p", func(p *admissionregistrationv1.ValidatingAdmissionPolicy) {
			p.Spec.Validations[0].Expression = "object.spec.replicas > 1"
		})
		r.Settle()
		got = test.Get[*admissionregistrationv1.ValidatingAdmissionPolicy](r, "", "p")
		if s := got.Status; s.ObservedGeneration != got.Generation || s.TypeChecking == nil || len(s.TypeChecking.ExpressionWarnings) != 0 {
			t.Errorf("status %+v", s)
		}
	})
}
