package admissionregistration

import (
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
)

const matching = "  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]}\n"

func decode(t *testing.T, k *api.Kind, doc string) api.Object {
	t.Helper()
	o := k.Hub().New()
	if err := yaml.UnmarshalStrict([]byte("metadata: {name: p}\nspec:\n"+doc), o); err != nil {
		t.Fatal(err)
	}
	k.Default(o)
	return o
}

func creation(k *api.Kind, o api.Object) field.ErrorList {
	errs := k.Validate(o)
	if k.ValidateCreate != nil {
		errs = append(errs, k.ValidateCreate(o)...)
	}
	return errs
}

// TestCreate: every document has exactly the errors given, by parts of them; none are fine.
func TestCreate(t *testing.T) {
	v, m := ValidatingAdmissionPolicy(), MutatingAdmissionPolicy()
	apply := func(e string) string {
		return matching + "  reinvocationPolicy: Never\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: '" + e + "'}}]\n"
	}
	for _, tc := range []struct {
		kind *api.Kind
		doc  string
		want []string
	}{
		{v, matching + "  validations: [{expression: object.a == 1, messageExpression: string(object.a)}]\n", nil},
		{v, matching + "  validations: [{expression: object.a}]\n", []string{"must evaluate to bool but got dyn"}},
		{v, matching + "  validations: [{expression: object.a.}]\n", []string{"spec.validations[0].expression: Invalid value: \"object.a.\": compilation failed: ERROR: <input>:1:10: Syntax error"}},
		{v, matching + "  validations: [{expression: '1'}]\n", []string{"must evaluate to bool but got int"}},
		{v, matching + "  validations: [{expression: 'true', messageExpression: '1'}]\n", []string{"spec.validations[0].messageExpression: Invalid value: \"1\": must evaluate to string but got int"}},
		{v, matching + "  validations: [{expression: 'true', message: \"a\\nb\", reason: NotFound}]\n", []string{"must not contain line breaks", "spec.validations[0].reason: Unsupported value"}},
		{v, matching + "  validations: [{expression: params.a}]\n", []string{"undeclared reference to 'params'"}},
		{v, matching + "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: params.a == 1, messageExpression: string(params.b)}]\n", nil},
		{v, matching + "  paramKind: {apiVersion: a/b/c, kind: 1x}\n  validations: [{expression: 'true'}]\n", []string{"unexpected GroupVersion string: a/b/c", "spec.paramKind.kind"}},
		{v, matching + "  validations: [{expression: variables.a}]\n", []string{"undeclared reference to 'variables'"}},
		{v, matching + "  variables: [{name: a, expression: '1'}, {name: b, expression: variables.a + 1}]\n  validations: [{expression: variables.b == 2}]\n", nil},
		{v, matching + "  variables: [{name: a, expression: '1'}]\n  validations: [{expression: variables.a == 'x'}]\n", []string{"found no matching overload for '_==_' applied to '(int, string)'"}},
		{v, matching + "  variables: [{name: for, expression: '1'}, {name: '', expression: ''}]\n  validations: [{expression: 'true'}]\n", []string{"must be a valid CEL identifier", "name is not specified", "expression is not specified"}},
		{v, matching + "  validations: [{expression: \"authorizer.group('').resource('pods').check('get').allowed()\", messageExpression: \"authorizer.path('/').check('get').reason()\"}]\n", []string{"spec.validations[0].messageExpression"}},
		{v, matching + "  matchConditions: [{name: a, expression: '1'}, {name: a, expression: ' '}, {expression: 'true'}]\n  validations: [{expression: 'true'}]\n",
			[]string{"spec.matchConditions[1].expression: Required value", "spec.matchConditions[1].name: Duplicate", "spec.matchConditions[2].name: Required", "must evaluate to bool but got int"}},
		{v, matching + "  auditAnnotations: [{key: a, valueExpression: \"'x'\"}, {key: a, valueExpression: '1'}, {key: 'b c', valueExpression: ''}]\n",
			[]string{"auditAnnotations[1].key: Duplicate", "auditAnnotations[2].key: Invalid", "auditAnnotations[2].valueExpression: Required", "must evaluate to one of [string null_type] but got int"}},
		{v, matching, []string{"spec.validations: Required", "spec.auditAnnotations: Required"}},
		{v, "  matchConstraints: {resourceRules: [{apiGroups: ['*', a], apiVersions: [''], operations: [GET], resources: ['*', pods, 'a/*', a/b, ''], resourceNames: [a/b, c, c]}]}\n  validations: [{expression: 'true'}]\n",
			[]string{"resourceNames[0]", "resourceNames[2]: Duplicate", "operations[0]: Unsupported", "apiGroups: Invalid", "apiVersions[0]: Required", "resources[3]: Invalid", "resources[4]: Required", "resources: Invalid"}},
		{m, apply(`Object{spec: Object.spec{replicas: 1}}`), nil},
		{m, apply(`{"spec": 1}`), []string{"must evaluate to Object but got map(string, int)"}},
		{m, matching + "  reinvocationPolicy: Never\n  mutations: [{patchType: JSONPatch, jsonPatch: {expression: '[JSONPatch{op: \"add\", path: \"/\" + jsonpatch.escapeKey(\"a/b\"), value: 1}]'}}]\n", nil},
		{m, matching + "  reinvocationPolicy: Never\n  mutations: [{patchType: JSONPatch, jsonPatch: {expression: '[1]'}, applyConfiguration: {expression: x}}]\n",
			[]string{"must not be specified when patchType is JSONPatch", "must evaluate to list(JSONPatch) but got list(int)"}},
		{m, strings.Replace(apply(`Object{}`), "CREATE", "DELETE", 1), []string{"spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\""}},
		{ValidatingAdmissionPolicyBinding(), "  policyName: p\n  validationActions: [Deny, Warn, Deny]\n  paramRef: {name: a, selector: {}}\n",
			[]string{"paramRef.name: Forbidden", "paramRef.selector: Forbidden", "parameterNotFoundAction: Required", "validationActions[2]: Duplicate", "must not contain both Deny and Warn"}},
		{MutatingAdmissionPolicyBinding(), "  policyName: P_\n", []string{"spec.policyName: Invalid"}},
	} {
		errs := creation(tc.kind, decode(t, tc.kind, tc.doc))
		if len(errs) != len(tc.want) {
			t.Errorf("%s\ngot %v\nwant %q", tc.doc, errs.ToAggregate(), tc.want)
			continue
		}
		for i, e := range errs {
			if !strings.Contains(e.Error(), tc.want[i]) {
				t.Errorf("%s\ngot %v\nwant %q", tc.doc, e, tc.want[i])
			}
		}
	}
}

// TestUpdateLeavesOldExpressions: what does not change is not asked again, whatever it was.
func TestUpdateLeavesOldExpressions(t *testing.T) {
	k := ValidatingAdmissionPolicy()
	old := decode(t, k, matching+"  validations: [{expression: nothing}]\n").(*admissionregistrationv1.ValidatingAdmissionPolicy)
	if errs := k.ValidateUpdate(old.DeepCopy(), old); len(errs) > 0 {
		t.Error(errs)
	}
	changed := old.DeepCopy()
	changed.Spec.Validations[0].Message = "hm"
	if errs := k.ValidateUpdate(changed, old); len(errs) != 1 {
		t.Errorf("%v, want one", errs)
	}
}
