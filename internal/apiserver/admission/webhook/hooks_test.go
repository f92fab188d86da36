package webhook

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
	caller "github.com/dhow-project/dhow/internal/apiserver/webhook"
)

// world is a set of objects, the hooks in it, and a webhook over TLS that answers as said by path.
type world struct {
	*testing.T
	reader  *readertest.Reader
	hooks   *Hooks
	server  *httptest.Server
	mu      sync.Mutex
	answers map[string]func(*admissionv1.AdmissionRequest) any
	asked   []*admissionv1.AdmissionRequest
	paths   []string

	generation int64
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, reader: readertest.New(all.Kinds()...), answers: map[string]func(*admissionv1.AdmissionRequest) any{}}
	w.hooks = New(w.reader, Options{Caller: caller.New(nil), Authorizer: nobody{}})
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	w.reader.Put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "web"}})
	return w
}

type nobody struct{}

func (nobody) Authorize(_ context.Context, a *request.Attributes) (request.Decision, string, error) {
	if a.User.Name == "root" {
		return request.Allow, "", nil
	}
	return request.NoOpinion, "", nil
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		w.Error(err)
	}
	w.mu.Lock()
	w.asked = append(w.asked, review.Request)
	w.paths = append(w.paths, r.URL.Path)
	answer := w.answers[r.URL.Path]
	w.mu.Unlock()
	if answer == nil {
		answer = allow
	}
	switch a := answer(review.Request).(type) {
	case http.HandlerFunc:
		a(rw, r)
	case *admissionv1.AdmissionResponse:
		a.UID = review.Request.UID
		review.Response, review.Request = a, nil
		json.NewEncoder(rw).Encode(review)
	case *admissionv1.AdmissionReview:
		json.NewEncoder(rw).Encode(a)
	}
}

func allow(*admissionv1.AdmissionRequest) any { return &admissionv1.AdmissionResponse{Allowed: true} }

// patch answers with a JSON patch.
func patch(doc string) func(*admissionv1.AdmissionRequest) any {
	return func(*admissionv1.AdmissionRequest) any {
		typ := admissionv1.PatchTypeJSONPatch
		return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte(doc), PatchType: &typ}
	}
}

// on configures a webhook at the path for everything, as the API server would store it.
func (w *world) on(resource, name, path string, change func(*admissionregistrationv1.MutatingWebhook)) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	url, none := w.server.URL+path, admissionregistrationv1.SideEffectClassNone
	h := admissionregistrationv1.MutatingWebhook{
		Name: name + ".example.com", ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: ca},
		AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{"*"},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}},
		}},
	}
	if change != nil {
		change(&h)
	}
	var obj api.Object = &admissionregistrationv1.MutatingWebhookConfiguration{Webhooks: []admissionregistrationv1.MutatingWebhook{h}}
	if strings.HasPrefix(resource, "validating") {
		obj = &admissionregistrationv1.ValidatingWebhookConfiguration{Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: h.Name, ClientConfig: h.ClientConfig, AdmissionReviewVersions: h.AdmissionReviewVersions, SideEffects: h.SideEffects, Rules: h.Rules,
			FailurePolicy: h.FailurePolicy, MatchConditions: h.MatchConditions, TimeoutSeconds: h.TimeoutSeconds, MatchPolicy: h.MatchPolicy,
		}}}
	}
	obj.SetName(name)
	w.generation++
	obj.SetGeneration(w.generation)
	k := w.kind(admissionregistrationv1.GroupName, resource)
	k.Default(obj)
	if errs := append(k.Validate(obj), k.ValidateCreate(obj)...); len(errs) > 0 {
		w.Fatal(errs.ToAggregate())
	}
	w.reader.Put(obj)
}

func (w *world) kind(group, resource string) *api.Kind {
	k := w.reader.Registry().Resource(schema.GroupResource{Group: group, Resource: resource})
	if k == nil {
		w.Fatal("no kind ", resource)
	}
	return k
}

func (w *world) write(group, resource, sub string, op request.Operation, obj, old api.Object) *request.Write {
	k := w.kind(group, resource)
	return &request.Write{User: &request.User{Name: "jane", Extra: map[string][]string{"e": {"1"}}}, Operation: op, Kind: k, Version: k.Hub(),
		Subresource: sub, Namespace: "web", Name: "x", Object: obj, Old: old}
}

// mutate runs the mutating step as the server does.
func (w *world) mutate(r *request.Write) error {
	for r.Pass = 1; r.Pass == 1 || r.Pass == 2 && r.Again; r.Pass++ {
		if err := w.hooks.Mutating().Mutate(w.Context(), r); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) validate(r *request.Write) error { return w.hooks.Validating().Check(w.Context(), r) }

func configMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "x", Labels: map[string]string{"app": "x"}}}
}

// lastIs is a patch of a ConfigMap.
func lastIs(s string) string {
	return fmt.Sprintf(`[{"op":"add","path":"/data","value":{"last":%q}}]`, s)
}

func TestMutatingWebhooksAreAskedInTurn(t *testing.T) {
	w := newWorld(t)
	w.on("mutatingwebhookconfigurations", "b", "/b", nil)
	w.on("mutatingwebhookconfigurations", "a", "/a", nil)
	w.answers["/a"] = patch(lastIs("a"))
	w.answers["/b"] = func(r *admissionv1.AdmissionRequest) any {
		if !strings.Contains(string(r.Object.Raw), `"last":"a"`) {
			t.Errorf("b does not see what a did: %s", r.Object.Raw)
		}
		return patch(lastIs("b"))(r)
	}
	cm := configMap()
	r := w.write("", "configmaps", "", request.Create, cm, nil)
	if err := w.mutate(r); err != nil {
		t.Fatal(err)
	}
	if got := r.Object.(*corev1.ConfigMap); got.Data["last"] != "b" || got.Kind != "" {
		t.Errorf("got %v", got)
	}
	if cm.Data != nil {
		t.Error("the object as it came was changed")
	}
	if !slices.Equal(w.paths, []string{"/a", "/b"}) {
		t.Errorf("asked %v", w.paths)
	}
	q := w.asked[0]
	if q.Kind.Kind != "ConfigMap" || q.Resource.Resource != "configmaps" || q.Namespace != "web" || q.Operation != "CREATE" || q.UserInfo.Username != "jane" ||
		q.UserInfo.Extra["e"][0] != "1" || *q.DryRun || !strings.Contains(string(q.Options.Raw), `"CreateOptions"`) || q.OldObject.Raw != nil ||
		!strings.Contains(string(q.Object.Raw), `"kind":"ConfigMap","apiVersion":"v1"`) {
		t.Errorf("the question is %+v", q)
	}
	if !strings.Contains(r.Annotations["patch.webhook.admission.k8s.io/round_0_index_1"], `"webhook":"b.example.com"`) {
		t.Errorf("audit annotations %v", r.Annotations)
	}
}

func TestReinvocation(t *testing.T) {
	w := newWorld(t)
	again := admissionregistrationv1.IfNeededReinvocationPolicy
	w.on("mutatingwebhookconfigurations", "a", "/a", func(h *admissionregistrationv1.MutatingWebhook) { h.ReinvocationPolicy = &again })
	w.on("mutatingwebhookconfigurations", "b", "/b", nil)
	w.on("mutatingwebhookconfigurations", "c", "/c", func(h *admissionregistrationv1.MutatingWebhook) { h.ReinvocationPolicy = &again })
	w.answers["/b"] = patch(lastIs("b"))
	if err := w.mutate(w.write("", "configmaps", "", request.Create, configMap(), nil)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/a", "/b", "/c", "/a"}; !slices.Equal(w.paths, want) {
		t.Errorf("asked %v, want %v", w.paths, want)
	}
}

func TestDefaultsAreFilledInAfterAPatch(t *testing.T) {
	w := newWorld(t)
	w.on("mutatingwebhookconfigurations", "a", "/a", nil)
	w.answers["/a"] = patch(`[{"op":"add","path":"/spec/initContainers","value":[{"name":"added","image":"i"}]}]`)
	r := w.write("", "pods", "", request.Create, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "x"}}, nil)
	if err := w.mutate(r); err != nil {
		t.Fatal(err)
	}
	if c := r.Object.(*corev1.Pod).Spec.InitContainers[0]; c.TerminationMessagePath != corev1.TerminationMessagePathDefault {
		t.Errorf("got %+v", c)
	}
}

// What webhooks see and change is of the version and kind that they ask for.
func TestForms(t *testing.T) {
	for _, tc := range []struct {
		name    string
		write   func(w *world) *request.Write
		hook    func(*admissionregistrationv1.MutatingWebhook)
		sees    string // in object
		patch   string
		becomes func(*request.Write) bool
	}{
		{"another version", func(w *world) *request.Write {
			return w.write("autoscaling", "horizontalpodautoscalers", "", request.Create, &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3}}, nil)
		}, func(h *admissionregistrationv1.MutatingWebhook) {
			h.Rules[0].APIGroups, h.Rules[0].APIVersions, h.Rules[0].Resources = []string{"autoscaling"}, []string{"v1"}, []string{"horizontalpodautoscalers"}
		}, `"apiVersion":"autoscaling/v1"`, `[{"op":"replace","path":"/spec/maxReplicas","value":5},{"op":"add","path":"/spec/targetCPUUtilizationPercentage","value":7}]`,
			func(r *request.Write) bool {
				s := r.Object.(*autoscalingv2.HorizontalPodAutoscaler).Spec
				return s.MaxReplicas == 5 && len(s.Metrics) == 1 && *s.Metrics[0].Resource.Target.AverageUtilization == 7
			}},
		{"scale", func(w *world) *request.Write {
			n := int32(2)
			d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &n}}
			return w.write("apps", "deployments", "scale", request.Update, d, d.DeepCopy())
		}, nil, `"kind":"Scale"`, `[{"op":"replace","path":"/spec/replicas","value":9}]`,
			func(r *request.Write) bool { return *r.Object.(*appsv1.Deployment).Spec.Replicas == 9 }},
		{"binding", func(w *world) *request.Write {
			r := w.write("", "pods", "binding", request.Create, nil, nil)
			r.Body = &corev1.Binding{Target: corev1.ObjectReference{Name: "n1"}}
			return r
		}, nil, `"kind":"Binding"`, `[{"op":"replace","path":"/target/name","value":"n2"}]`,
			func(r *request.Write) bool { return r.Body.(*corev1.Binding).Target.Name == "n2" }},
		{"exec", func(w *world) *request.Write {
			r := w.write("", "pods", "exec", request.Connect, nil, nil)
			r.Body = &corev1.PodExecOptions{Command: []string{"sh"}}
			return r
		}, nil, `"kind":"PodExecOptions"`, `[{"op":"add","path":"/container","value":"side"}]`,
			func(r *request.Write) bool { return r.Body.(*corev1.PodExecOptions).Container == "side" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.on("mutatingwebhookconfigurations", "a", "/a", tc.hook)
			w.answers["/a"] = patch(tc.patch)
			r := tc.write(w)
			if err := w.mutate(r); err != nil {
				t.Fatal(err)
			}
			if len(w.asked) != 1 || !strings.Contains(string(w.asked[0].Object.Raw), tc.sees) {
				t.Fatalf("asked %+v", w.asked)
			}
			if !tc.becomes(r) {
				t.Errorf("became %+v %+v", r.Object, r.Body)
			}
		})
	}
}

func TestDeletion(t *testing.T) {
	w := newWorld(t)
	w.on("mutatingwebhookconfigurations", "a", "/a", nil)
	r := w.write("", "configmaps", "", request.Delete, nil, configMap())
	r.Collection = true
	if err := w.mutate(r); err != nil {
		t.Fatal(err)
	}
	q := w.asked[0]
	if q.Object.Raw != nil || !strings.Contains(string(q.OldObject.Raw), `"app":"x"`) || q.Name != "" || !strings.Contains(string(q.Options.Raw), `"DeleteOptions"`) {
		t.Errorf("the question is %+v", q)
	}
	w.answers["/a"] = patch(lastIs("a"))
	err := w.mutate(w.write("", "configmaps", "", request.Delete, nil, configMap()))
	if err == nil || !strings.Contains(err.Error(), `admission webhook "a.example.com" attempted to modify the object, which is not supported for this operation`) {
		t.Errorf("got %v", err)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.on("validatingwebhookconfigurations", "a", "/a", nil)
	w.on("validatingwebhookconfigurations", "b", "/b", nil)
	for _, tc := range []struct {
		status *metav1.Status
		want   string
		code   int32
	}{
		{&metav1.Status{Message: "no", Code: 418, Reason: "Teapot"}, `admission webhook "a.example.com" denied the request: no`, 418},
		{&metav1.Status{Reason: "Because", Code: 200}, `admission webhook "a.example.com" denied the request: Because`, 400},
		{nil, `admission webhook "a.example.com" denied the request without explanation`, 400},
	} {
		w.answers["/a"] = func(*admissionv1.AdmissionRequest) any {
			return &admissionv1.AdmissionResponse{Result: tc.status, Warnings: []string{"careful"}, AuditAnnotations: map[string]string{"k": "v"}}
		}
		r := w.write("", "configmaps", "", request.Create, configMap(), nil)
		err := w.validate(r)
		st, ok := err.(apierrors.APIStatus)
		if !ok || st.Status().Message != tc.want || st.Status().Code != tc.code || st.Status().Status != metav1.StatusFailure {
			t.Errorf("got %v, want %d %s", err, tc.code, tc.want)
		}
		if !slices.Equal(r.Warnings, []string{"careful"}) || !maps.Equal(r.Annotations, map[string]string{"a.example.com/k": "v"}) {
			t.Errorf("warnings %v, annotations %v", r.Warnings, r.Annotations)
		}
	}
}

// A webhook that gives no proper answer fails the write or is left out, as its failure policy says.
func TestFailures(t *testing.T) {
	handler := func(f http.HandlerFunc) func(*admissionv1.AdmissionRequest) any {
		return func(*admissionv1.AdmissionRequest) any { return f }
	}
	typ := admissionv1.PatchTypeJSONPatch
	for _, tc := range []struct {
		name   string
		answer func(*admissionv1.AdmissionRequest) any
		want   string
	}{
		{"500", handler(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "boom", 500) }),
			`failed to call webhook: an error on the server ("boom") has prevented the request from succeeding`},
		{"redirect", handler(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }), `redirect`},
		{"no JSON", handler(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }), `failed to call webhook: `},
		{"slow", handler(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), `?timeout=1s": context deadline exceeded`},
		{"absent", handler(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }), `received invalid webhook response: webhook response was absent`},
		{"another uid", func(*admissionv1.AdmissionRequest) any {
			return &admissionv1.AdmissionReview{Response: &admissionv1.AdmissionResponse{UID: "other"}}
		}, `received invalid webhook response: expected response.uid=`},
		{"no kind", func(r *admissionv1.AdmissionRequest) any {
			return &admissionv1.AdmissionReview{Response: &admissionv1.AdmissionResponse{UID: r.UID}}
		}, `received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=`},
		{"a patch", func(*admissionv1.AdmissionRequest) any {
			return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte("[]"), PatchType: &typ}
		}, `received invalid webhook response: validating webhook may not return response.patch`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			one, ignore := int32(1), admissionregistrationv1.Ignore
			w := newWorld(t)
			w.answers["/a"] = tc.answer
			w.on("validatingwebhookconfigurations", "a", "/a", func(h *admissionregistrationv1.MutatingWebhook) { h.TimeoutSeconds = &one })
			began := time.Now()
			err := w.validate(w.write("", "configmaps", "", request.Create, configMap(), nil))
			if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), `failed calling webhook "a.example.com": `) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			w.on("validatingwebhookconfigurations", "a", "/a", func(h *admissionregistrationv1.MutatingWebhook) {
				h.TimeoutSeconds, h.FailurePolicy = &one, &ignore
			})
			r := w.write("", "configmaps", "", request.Create, configMap(), nil)
			if err := w.validate(r); err != nil {
				t.Errorf("left open: %v", err)
			}
			if r.Annotations["failed-open.validating.webhook.admission.k8s.io/round_0_index_0"] != "a.example.com" {
				t.Errorf("annotations %v", r.Annotations)
			}
			if d := time.Since(began); d > 8*time.Second {
				t.Errorf("took %s", d)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	w.on("validatingwebhookconfigurations", "a", "/a", nil)
	r := w.write("", "configmaps", "", request.Create, configMap(), nil)
	r.DryRun = true
	if err := w.validate(r); err != nil || !*w.asked[0].DryRun {
		t.Errorf("got %v, asked %+v", err, w.asked)
	}
	some := admissionregistrationv1.SideEffectClassSome
	w.hooks.validating.hooks()[0].sideEffects = &some // stored by an old cluster: it can no longer be written
	if err := w.validate(r); !apierrors.IsBadRequest(err) || err.Error() != `admission webhook "a.example.com" does not support dry run` {
		t.Errorf("got %v", err)
	}
}

func TestV1beta1(t *testing.T) {
	w := newWorld(t)
	w.on("mutatingwebhookconfigurations", "a", "/a", func(h *admissionregistrationv1.MutatingWebhook) {
		h.AdmissionReviewVersions = []string{"v7", "v1beta1", "v1"}
	})
	w.answers["/a"] = func(r *admissionv1.AdmissionRequest) any {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { // neither uid nor kind nor patchType
			json.NewEncoder(rw).Encode(map[string]any{"response": map[string]any{"allowed": true, "patch": []byte(lastIs("old"))}})
		})
	}
	r := w.write("", "configmaps", "", request.Create, configMap(), nil)
	if err := w.mutate(r); err != nil || r.Object.(*corev1.ConfigMap).Data["last"] != "old" {
		t.Errorf("got %v, %v", r.Object, err)
	}
}

func TestMatchConditions(t *testing.T) {
	fail, ignore := admissionregistrationv1.Fail, admissionregistrationv1.Ignore
	for _, tc := range []struct {
		expression string
		policy     *admissionregistrationv1.FailurePolicyType
		asked      bool
		err        string
	}{
		{`object.metadata.labels.app == "x"`, &fail, true, ""},
		{`object.metadata.name == "y"`, &fail, false, ""},
		{`request.operation == "CREATE" && request.userInfo.username == "jane" && namespaceObject == null`, &fail, true, ""},
		{`authorizer.group("").resource("pods").check("get").allowed()`, &fail, false, ""},
		{`object.data.missing == "z"`, &fail, false, "no such key"},
		{`object.data.missing == "z"`, &ignore, false, ""},
	} {
		w := newWorld(t)
		w.on("validatingwebhookconfigurations", "a", "/a", func(h *admissionregistrationv1.MutatingWebhook) {
			h.FailurePolicy, h.MatchConditions = tc.policy, []admissionregistrationv1.MatchCondition{{Name: "c", Expression: tc.expression}}
		})
		err := w.validate(w.write("", "configmaps", "", request.Create, configMap(), nil))
		switch {
		case tc.err == "" && err != nil, tc.err != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("%s: %v", tc.expression, err)
		case (len(w.asked) > 0) != tc.asked:
			t.Errorf("%s: asked %v", tc.expression, w.paths)
		}
	}
}

func TestConfigurationsAreFollowed(t *testing.T) {
	w := newWorld(t)
	r := func() *request.Write { return w.write("", "configmaps", "", request.Create, configMap(), nil) }
	w.answers["/a"] = func(*admissionv1.AdmissionRequest) any { return &admissionv1.AdmissionResponse{} }
	if err := w.validate(r()); err != nil {
		t.Fatal(err)
	}
	w.on("validatingwebhookconfigurations", "a", "/a", nil)
	if err := w.validate(r()); err == nil {
		t.Error("the new configuration is not asked")
	}
	exempt := w.write(admissionregistrationv1.GroupName, "validatingwebhookconfigurations", "", request.Delete, nil, &admissionregistrationv1.ValidatingWebhookConfiguration{})
	if err := w.validate(exempt); err != nil {
		t.Errorf("a webhook keeps its own configuration: %v", err)
	}
	w.reader.Delete(&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if err := w.validate(r()); err != nil {
		t.Error(err)
	}
}

// A cluster without webhooks does not pay for them.
func TestNoneConfiguredCostsNothing(t *testing.T) {
	w := newWorld(t)
	r := w.write("", "configmaps", "", request.Create, configMap(), nil)
	mutating, validating := w.hooks.Mutating(), w.hooks.Validating()
	if n := testing.AllocsPerRun(100, func() {
		if mutating.Mutate(t.Context(), r) != nil || validating.Check(t.Context(), r) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations a write", n)
	}
}
