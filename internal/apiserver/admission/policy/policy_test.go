package policy

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver/apply"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
)

// only lets one user do one thing.
type only struct{ user, verb, resource string }

func (o only) Authorize(_ context.Context, a *request.Attributes) (request.Decision, string, error) {
	if a.User.Name == o.user && a.Verb == o.verb && a.Resource == o.resource {
		return request.Allow, "", nil
	}
	return request.NoOpinion, "not for you", nil
}

type world struct {
	*readertest.Reader
	steps []request.Step
	n     int64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Reader: readertest.New(all.Kinds()...)}
	z := only{"jane", "scale", "deployments"}
	w.steps = []request.Step{Mutating(w, z, apply.New()), Validating(w, z)}
	w.Put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "a"}}})
	return w
}

// put stores YAML documents with defaults.
func (w *world) put(t testing.TB, docs string) {
	t.Helper()
	for doc := range strings.SplitSeq(docs, "\n---\n") {
		var m metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &m); err != nil {
			t.Fatal(err)
		}
		k := w.Registry().Kind(m.GroupVersionKind().GroupKind())
		if k == nil {
			t.Fatalf("no kind %v", m)
		}
		o := k.Hub().New()
		if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
			t.Fatal(err)
		}
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		if k.Default != nil {
			k.Default(o)
		}
		w.n++
		o.SetUID(types.UID(o.GetName()))
		o.SetGeneration(w.n)
		w.Put(o)
	}
}

func (w *world) write(op request.Operation, obj, old api.Object) *request.Write {
	some := obj
	if some == nil {
		some = old
	}
	var k *api.Kind
	switch some.(type) {
	case *appsv1.Deployment:
		k = w.Registry().Resource(appsv1.Resource("deployments"))
	case *corev1.ConfigMap:
		k = w.Registry().Resource(corev1.Resource("configmaps"))
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		k = w.Registry().Resource(admissionregistrationv1.Resource("validatingadmissionpolicies"))
	}
	return &request.Write{User: &request.User{Name: "jane", Groups: []string{"devs"}}, Operation: op, Kind: k, Version: k.Hub(),
		Namespace: some.GetNamespace(), Name: some.GetName(), Object: obj, Old: old}
}

// admit runs the steps as the server does.
func (w *world) admit(t *testing.T, wr *request.Write) error {
	t.Helper()
	for wr.Pass = 1; wr.Pass == 1 || wr.Pass == 2 && wr.Again; wr.Pass++ {
		for _, s := range w.steps {
			if s.Mutate != nil {
				if err := s.Mutate(t.Context(), wr); err != nil {
					return err
				}
			}
		}
	}
	for _, s := range w.steps {
		if s.Check != nil {
			if err := s.Check(t.Context(), wr); err != nil {
				return err
			}
		}
	}
	return nil
}

func deployment(replicas int32) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "app", Labels: map[string]string{"app": "web"}}}
	d.Spec.Replicas = &replicas
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "app:v1"}}
	all := api.NewRegistry(all.Kinds())
	all.Resource(appsv1.Resource("deployments")).Default(d)
	return d
}

// validating is a policy over deployments and its binding, with the rest of the spec of each.
func validatingDocs(spec, binding string) string {
	return `kind: ValidatingAdmissionPolicy
apiVersion: admissionregistration.k8s.io/v1
metadata: {name: p}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: ["*"], resources: [deployments, deployments/scale]}
` + spec + `
---
kind: ValidatingAdmissionPolicyBinding
apiVersion: admissionregistration.k8s.io/v1
metadata: {name: b}
spec:
  policyName: p
` + binding
}

func TestValidate(t *testing.T) {
	const deny = "  validationActions: [Deny]\n"
	const says = `deployments.apps "app" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: `
	for _, tc := range []struct {
		name, spec, binding string
		want                string // of the error; empty: admitted
		code                int32
		warn                string
		notes               map[string]string
	}{
		{name: "allowed", spec: "  validations: [{expression: object.spec.replicas < 5}]", binding: deny},
		{name: "denied", spec: "  validations: [{expression: object.spec.replicas > 5}]", binding: deny, want: says + "failed expression: object.spec.replicas > 5", code: 422},
		{name: "message", spec: "  validations: [{expression: 'false', message: 'no, never', reason: Forbidden}]", binding: deny, want: says + "no, never", code: 403},
		{name: "message expression", spec: `  validations: [{expression: 'false', message: nope, messageExpression: "'got ' + string(object.spec.replicas)"}]`, binding: deny, want: says + "got 3"},
		{name: "message expression that fails", spec: `  validations: [{expression: 'false', message: nope, messageExpression: "string(object.spec.nothing)"}]`, binding: deny, want: says + "nope"},
		{name: "message expression of two lines", spec: `  validations: [{expression: 'false', message: nope, messageExpression: "'a\\nb'"}]`, binding: deny, want: says + "nope"},
		{name: "warned", spec: "  validations: [{expression: 'false', message: hm}]", binding: "  validationActions: [Warn]\n",
			warn: "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': hm"},
		{name: "audited", spec: "  validations: [{expression: 'true'}, {expression: 'false', message: hm}]", binding: "  validationActions: [Audit]\n",
			notes: map[string]string{"validation.policy.admission.k8s.io/validation_failure": `[{"message":"hm","policy":"p","binding":"b","expressionIndex":1,"validationActions":["Audit"]}]`}},
		{name: "annotated", spec: "  validations: [{expression: 'true'}]\n  auditAnnotations: [{key: num, valueExpression: string(object.spec.replicas)}, {key: none, valueExpression: 'null'}]", binding: deny,
			notes: map[string]string{"p/num": "3"}},
		{name: "variables", spec: "  variables: [{name: num, expression: object.spec.replicas}, {name: odd, expression: variables.num % 2 == 1}]\n  validations: [{expression: '!variables.odd', message: odd}]",
			binding: deny, want: says + "odd"},
		{name: "match conditions", spec: "  matchConditions: [{name: a, expression: \"request.userInfo.username == 'joe'\"}]\n  validations: [{expression: 'false'}]", binding: deny},
		{name: "one false condition decides", spec: "  matchConditions: [{name: a, expression: object.nothing.at.all == 1}, {name: b, expression: 'false'}]\n  validations: [{expression: 'false'}]", binding: deny},
		{name: "condition that fails", spec: "  matchConditions: [{name: a, expression: object.spec.nothing == 1}]\n  validations: [{expression: 'true'}]", binding: deny,
			want: says + "expression 'object.spec.nothing == 1' resulted in error: no such key: nothing"},
		{name: "failure", spec: "  validations: [{expression: object.spec.nothing == 1}]", binding: deny, want: says + "expression 'object.spec.nothing == 1' resulted in error: no such key: nothing"},
		{name: "failure ignored", spec: "  failurePolicy: Ignore\n  validations: [{expression: object.spec.nothing == 1}]", binding: deny},
		{name: "does not compile", spec: "  validations: [{expression: 'nothing == 1'}]", binding: deny, want: "compilation error: compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing'"},
		{name: "too costly", spec: "  validations: [{expression: \"[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, [1,2,3,4,5,6,7,8,9,10].all(g, a+b+c+d+e+f+g > 0)))))))\"}]",
			binding: deny, want: "operation cancelled: actual cost limit exceeded"},
		{name: "namespace", spec: "  validations: [{expression: \"namespaceObject.metadata.labels['team'] != 'a'\", message: team}]", binding: deny, want: says + "team"},
		{name: "request", spec: "  validations: [{expression: \"request.operation == 'DELETE' && request.kind.kind == 'Pod' && request.options.kind != '' && request.dryRun\", message: it}]", binding: deny, want: says + "it"},
		{name: "authorizer", spec: "  validations: [{expression: \"authorizer.group('apps').resource('deployments').check('scale').allowed()\"}, {expression: \"authorizer.requestResource.check('delete').allowed()\", message: may not delete}]",
			binding: deny, want: says + "may not delete"},
		{name: "binding of another team", spec: "  validations: [{expression: 'false'}]", binding: deny + "  matchResources: {namespaceSelector: {matchLabels: {team: b}}}\n"},
		{name: "params", spec: "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: \"object.spec.replicas <= int(params.data.max)\", messageExpression: \"'at most ' + params.data.max\"}]",
			binding: deny + "  paramRef: {name: limits, parameterNotFoundAction: Deny}\n", want: says + "at most 2"},
		{name: "params of another namespace", spec: "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: \"params.metadata.namespace == 'web'\", message: elsewhere}]",
			binding: deny + "  paramRef: {name: limits, namespace: other, parameterNotFoundAction: Deny}\n", want: says + "elsewhere"},
		{name: "params by selector", spec: "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: \"params.kind == 'ConfigMap' && params.data.max != '2'\", message: two}]",
			binding: deny + "  paramRef: {selector: {matchLabels: {a: b}}, parameterNotFoundAction: Deny}\n", want: says + "two"},
		{name: "params missing", spec: "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: 'false'}]", binding: deny + "  paramRef: {name: none, parameterNotFoundAction: Deny}\n",
			want: says + "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"},
		{name: "params missing and allowed", spec: "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: 'false'}]", binding: deny + "  paramRef: {name: none, parameterNotFoundAction: Allow}\n"},
		{name: "params of no kind", spec: "  paramKind: {apiVersion: example.com/v1, kind: Rule}\n  validations: [{expression: 'true'}]", binding: deny + "  paramRef: {name: none, parameterNotFoundAction: Allow}\n",
			want: "ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Rule'"},
		{name: "no params named", spec: "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: params == null}]", binding: deny},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: limits, namespace: web, labels: {a: b}}\ndata: {max: '2'}\n---\n"+
				"kind: ConfigMap\napiVersion: v1\nmetadata: {name: limits, namespace: other}\ndata: {max: '9'}")
			w.put(t, validatingDocs(tc.spec, tc.binding))
			wr := w.write(request.Create, deployment(3), nil)
			err := w.admit(t, wr)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if s := apierrors.APIStatus(nil); tc.code != 0 && (!asStatus(err, &s) || s.Status().Code != tc.code) {
				t.Errorf("code of %v, want %d", err, tc.code)
			}
			if got := strings.Join(wr.Warnings, "; "); got != tc.warn {
				t.Errorf("warnings %q, want %q", got, tc.warn)
			}
			if !maps.Equal(wr.Annotations, tc.notes) {
				t.Errorf("annotations %v, want %v", wr.Annotations, tc.notes)
			}
		})
	}
}

func asStatus(err error, s *apierrors.APIStatus) bool {
	st, ok := err.(apierrors.APIStatus)
	*s = st
	return ok
}

// TestPolicyIsLive: policies and bindings take effect with the next write, in every direction.
func TestPolicyIsLive(t *testing.T) {
	w := newWorld(t)
	try := func(want bool) {
		t.Helper()
		if err := w.admit(t, w.write(request.Create, deployment(1), nil)); (err == nil) != want {
			t.Fatalf("admitted: %v, want %v", err, want)
		}
	}
	try(true)
	docs := strings.Split(validatingDocs("  validations: [{expression: object.spec.replicas > 1}]", "  validationActions: [Deny]\n"), "\n---\n")
	w.put(t, docs[0])
	try(true) // not bound
	w.put(t, docs[1])
	try(false)
	w.put(t, strings.Replace(docs[0], "> 1", "> 0", 1))
	try(true)
	w.put(t, docs[0])
	try(false)
	w.Delete(&admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}})
	try(true)
}

// TestPoliciesLeaveThemselvesAlone: a policy that denies everything can be removed.
func TestPoliciesLeaveThemselvesAlone(t *testing.T) {
	w := newWorld(t)
	w.put(t, strings.Replace(validatingDocs("  validations: [{expression: 'false'}]", "  validationActions: [Deny]\n"),
		"apiGroups: [apps], apiVersions: [v1], operations: [\"*\"], resources: [deployments, deployments/scale]", `apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"]`, 1))
	if err := w.admit(t, w.write(request.Create, deployment(1), nil)); err == nil {
		t.Error("the policy is not about everything")
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	if err := w.admit(t, w.write(request.Delete, nil, policy)); err != nil {
		t.Error(err)
	}
}

func TestScaleAndDeletion(t *testing.T) {
	w := newWorld(t)
	w.put(t, validatingDocs("  validations: [{expression: \"request.operation == 'DELETE' ? oldObject.metadata.name != 'app' : object.kind == 'Scale' && object.spec.replicas < 3\", message: nope}]", "  validationActions: [Deny]\n"))
	scale := w.write(request.Update, deployment(2), deployment(1))
	scale.Subresource = "scale"
	if err := w.admit(t, scale); err != nil {
		t.Error(err)
	}
	scale = w.write(request.Update, deployment(3), deployment(1))
	scale.Subresource = "scale"
	if err := w.admit(t, scale); err == nil {
		t.Error("scaled to 3")
	}
	if err := w.admit(t, w.write(request.Delete, nil, deployment(1))); err == nil {
		t.Error("deleted")
	}
}

func mutatingDocs(name, spec string) string {
	return `kind: MutatingAdmissionPolicy
apiVersion: admissionregistration.k8s.io/v1
metadata: {name: ` + name + `}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
` + spec + `
---
kind: MutatingAdmissionPolicyBinding
apiVersion: admissionregistration.k8s.io/v1
metadata: {name: ` + name + `}
spec:
  policyName: ` + name + "\n"
}

func TestMutate(t *testing.T) {
	apply := func(e string) string {
		return "  reinvocationPolicy: Never\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: '" + e + "'}}]"
	}
	patch := func(e string) string {
		return "  reinvocationPolicy: Never\n  mutations: [{patchType: JSONPatch, jsonPatch: {expression: '" + e + "'}}]"
	}
	for _, tc := range []struct {
		name, spec, want string
		check            func(*appsv1.Deployment) bool
	}{
		{name: "apply", spec: apply(`Object{metadata: Object.metadata{labels: {"env": "test"}}, spec: Object.spec{replicas: 7}}`), check: func(d *appsv1.Deployment) bool {
			return *d.Spec.Replicas == 7 && d.Labels["env"] == "test" && d.Labels["app"] == "web"
		}},
		{name: "apply merges lists by key and fills in defaults", spec: apply(`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "side", image: "side"}]}}}}`),
			check: func(d *appsv1.Deployment) bool {
				c := d.Spec.Template.Spec.Containers
				return len(c) == 2 && slices.ContainsFunc(c, func(c corev1.Container) bool { return c.Name == "side" && c.ImagePullPolicy == corev1.PullAlways })
			}},
		{name: "apply of an atomic", spec: apply(`Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"a": "b"}}}}`), want: "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"},
		{name: "apply of a wrong type", spec: apply(`Object{spec: Object.spec{replicas: "many"}}`), want: "error applying patch: failed to convert patch object to typed object"},
		{name: "apply of types in the wrong place", spec: apply(`Object{spec: Object.metadata{replicas: 1}}`), want: "type mismatch"},
		{name: "patch", spec: patch(`[JSONPatch{op: "test", path: "/spec/replicas", value: 3}, JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/x"), value: "y"}, JSONPatch{op: "replace", path: "/spec/replicas", value: 4}]`),
			check: func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 4 && d.Labels["example.com/x"] == "y" }},
		{name: "patch with an object", spec: patch(`[JSONPatch{op: "add", path: "/spec/template/spec/containers/-", value: Object.spec.template.spec.containers{name: "side", image: "s"}}]`),
			check: func(d *appsv1.Deployment) bool { return len(d.Spec.Template.Spec.Containers) == 2 }},
		{name: "patch whose test fails", spec: patch(`[JSONPatch{op: "test", path: "/spec/replicas", value: 9}, JSONPatch{op: "replace", path: "/spec/replicas", value: 4}]`),
			check: func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 }},
		{name: "patch of nothing", spec: patch(`[JSONPatch{op: "remove", path: "/spec/nothing"}]`), want: "policy 'm' with binding 'm' denied request: JSON Patch: "},
		{name: "failure", spec: apply(`Object{spec: Object.spec{replicas: object.spec.nothing}}`), want: "policy 'm' with binding 'm' denied request: expression"},
		{name: "failure ignored", spec: "  failurePolicy: Ignore\n" + apply(`Object{spec: Object.spec{replicas: object.spec.nothing}}`), check: func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 }},
		{name: "condition", spec: "  matchConditions: [{name: a, expression: 'object.spec.replicas > 5'}]\n" + apply(`Object{spec: Object.spec{replicas: 1}}`), check: func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 }},
		{name: "variables and params", spec: "  variables: [{name: num, expression: 'object.spec.replicas * 2'}]\n" + apply(`Object{spec: Object.spec{replicas: variables.num}}`), check: func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 6 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, mutatingDocs("m", tc.spec))
			wr := w.write(request.Create, deployment(3), nil)
			err := w.admit(t, wr)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := wr.Object.(*appsv1.Deployment); !tc.check(d) {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// TestReinvocation: a policy that may run again sees what a later one changed; one that may not runs once.
func TestReinvocation(t *testing.T) {
	for policy, want := range map[string]string{"IfNeeded": "2", "Never": "1"} {
		w := newWorld(t)
		// a notes how many labels there are, b adds one.
		w.put(t, mutatingDocs("a", "  reinvocationPolicy: "+policy+"\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{annotations: {\"n\": string(object.metadata.labels.size())}}}'}}]"))
		w.put(t, mutatingDocs("b", "  reinvocationPolicy: Never\n  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {\"b\": \"b\"}}}'}}]"))
		wr := w.write(request.Create, deployment(1), nil)
		if err := w.admit(t, wr); err != nil {
			t.Fatal(err)
		}
		if got := wr.Object.GetAnnotations()["n"]; got != want {
			t.Errorf("%s: a saw %s labels, want %s", policy, got, want)
		}
	}
}

// TestNobodyReadsThroughPolicies: who writes a policy or binding must be allowed to read its parameters.
func TestNobodyReadsThroughPolicies(t *testing.T) {
	w := newWorld(t)
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	policy.Spec.ParamKind = &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "Secret"}
	err := w.admit(t, w.write(request.Create, policy, nil))
	if err == nil || !strings.Contains(err.Error(), `spec.paramKind: Forbidden: user jane must have "get" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)`) {
		t.Error(err)
	}
	if err := w.admit(t, w.write(request.Update, policy, policy)); err != nil {
		t.Error(err)
	}
	w.Put(policy)
	bound := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}}
	bound.Spec = admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "p", ParamRef: &admissionregistrationv1.ParamRef{Name: "s", Namespace: "web"}}
	wr := w.write(request.Create, policy, nil)
	wr.Kind, wr.Object = w.Registry().Resource(admissionregistrationv1.Resource("validatingadmissionpolicybindings")), bound
	if err := w.admit(t, wr); err == nil || !strings.Contains(err.Error(), `spec.paramRef: Forbidden: user jane does not have "get" permission on the object referenced by paramRef`) {
		t.Error(err)
	}
	w.steps = []request.Step{Validating(w, only{"jane", "get", "secrets"})}
	if err := w.admit(t, wr); err != nil {
		t.Error(err)
	}
}

// TestManyAtOnce: writes share compiled expressions and see policies change meanwhile.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	docs := validatingDocs("  variables: [{name: num, expression: object.spec.replicas}]\n  validations: [{expression: variables.num > 1}]", "  validationActions: [Deny]\n")
	w.put(t, docs)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if w.steps[1].Check(t.Context(), w.write(request.Create, deployment(1), nil)) == nil {
					t.Error("admitted")
				}
			}
		})
	}
	for range 50 {
		w.put(t, docs)
	}
	wg.Wait()
}
