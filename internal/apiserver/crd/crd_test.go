package crd_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/apiextensions"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/crd"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/webhook"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/disk"
)

var master = request.User{Name: "test", Groups: []string{"system:masters"}}

type nowhere struct{}

func (nowhere) Resolve(string, string, int32) (string, error) { return "", io.EOF }

// fixture is a server with custom resources on a store of its own.
type fixture struct {
	*testing.T
	crds   client.Client[*apiextensionsv1.CustomResourceDefinition]
	client dynamic.Interface
	url    string
	stop   func()
}

func start(t *testing.T, st store.Store) *fixture {
	t.Helper()
	s, err := apiserver.New(apiserver.Config{Store: st, Registry: api.NewRegistry([]*api.Kind{apiextensions.CustomResourceDefinition()})})
	if err != nil {
		t.Fatal(err)
	}
	conn := s.Conn(&master)
	m := crd.New(s, conn, webhook.New(nowhere{}), slog.New(slog.DiscardHandler))
	for _, f := range []func(context.Context) error{s.Start, m.Start} {
		if err := f(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, f := range []func(context.Context) error{s.Run, m.Run} {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	web := httptest.NewUnstartedServer(s.Handler())
	web.EnableHTTP2 = true
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	stop := sync.OnceFunc(func() {
		web.CloseClientConnections()
		web.Close()
		cancel()
		wg.Wait()
		st.Close()
	})
	t.Cleanup(stop)
	dc, err := dynamic.NewForConfig(&rest.Config{Host: web.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, client.For[*apiextensionsv1.CustomResourceDefinition](conn), dc, web.URL, stop}
}

func open(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := disk.Open(filepath.Join(dir, "store"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const definition = `
metadata: {name: boats.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, listKind: BoatList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.crew, labelSelectorPath: .status.selector}}
    selectableFields: [{jsonPath: .spec.name}]
    additionalPrinterColumns: [{name: Crew, type: integer, jsonPath: .spec.crew}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations: [{rule: "self.crew >= oldSelf.crew", message: nobody leaves}]
            properties:
              name: {type: string, maxLength: 8}
              crew: {type: integer, default: 1}
              any: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status: {type: object, properties: {crew: {type: integer}, selector: {type: string}}}
  - name: v2
    served: true
    storage: false
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

func (f *fixture) define(text string) *apiextensionsv1.CustomResourceDefinition {
	f.Helper()
	o := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal([]byte(text), o); err != nil {
		f.Fatal(err)
	}
	o, err := f.crds.Create(f.Context(), o)
	if err != nil {
		f.Fatal(err)
	}
	return f.await(o.Name, func(o *apiextensionsv1.CustomResourceDefinition) bool {
		return condition(o, apiextensionsv1.Established) == "True"
	})
}

func condition(o *apiextensionsv1.CustomResourceDefinition, typ apiextensionsv1.CustomResourceDefinitionConditionType) string {
	for _, c := range o.Status.Conditions {
		if c.Type == typ {
			return string(c.Status)
		}
	}
	return ""
}

// await watches a definition until ok; a nil one has gone.
func (f *fixture) await(name string, ok func(*apiextensionsv1.CustomResourceDefinition) bool) *apiextensionsv1.CustomResourceDefinition {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 20*time.Second)
	defer cancel()
	w, err := f.client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
		Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		f.Fatal(err)
	}
	defer w.Stop()
	if o, err := f.crds.Get(ctx, "", name); err == nil && ok(o) {
		return o
	} else if apierrors.IsNotFound(err) && ok(nil) {
		return nil
	}
	for e := range w.ResultChan() {
		o, err := f.crds.Get(ctx, "", name)
		switch {
		case e.Type == watch.Deleted && ok(nil):
			return nil
		case err == nil && ok(o):
			return o
		}
	}
	f.Fatalf("definition %s: what was waited for did not come", name)
	return nil
}

func (f *fixture) boats(version string) dynamic.ResourceInterface {
	return f.client.Resource(schema.GroupVersionResource{Group: "example.com", Version: version, Resource: "boats"}).Namespace("n")
}

func boat(version, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/" + version, "kind": "Boat", "metadata": map[string]any{"name": name}, "spec": spec}}
}

func (f *fixture) create(u *unstructured.Unstructured) *unstructured.Unstructured {
	f.Helper()
	out, err := f.boats(u.GroupVersionKind().Version).Create(f.Context(), u, metav1.CreateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return out
}

func TestObjects(t *testing.T) {
	f := start(t, open(t, t.TempDir()))
	f.define(definition)
	ctx := t.Context()

	// pruned and defaulted; the status has its own way in
	made := boat("v1", "a", map[string]any{"name": "ark", "unknown": "x", "any": map[string]any{"deep": []any{int64(1)}}})
	made.Object["status"] = map[string]any{"crew": int64(7)}
	got := f.create(made)
	if d := cmp.Diff(map[string]any{"name": "ark", "crew": int64(1), "any": map[string]any{"deep": []any{int64(1)}}}, got.Object["spec"]); d != "" {
		t.Error(d)
	}
	if got.Object["status"] != nil || got.GetGeneration() != 1 {
		t.Errorf("status %v, generation %d", got.Object["status"], got.GetGeneration())
	}
	got.Object["status"] = map[string]any{"crew": int64(7), "selector": "a=b"}
	got.Object["spec"] = nil
	got, err := f.boats("v1").UpdateStatus(ctx, got, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if crew, _, _ := unstructured.NestedInt64(got.Object, "status", "crew"); crew != 7 || got.Object["spec"] == nil || got.GetGeneration() != 1 {
		t.Errorf("after a status update: %v", got.Object)
	}

	// scale
	sc, err := f.boats("v1").Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{}, "scale")
	if err != nil {
		t.Fatal(err)
	}
	delete(sc.Object, "metadata")
	if d := cmp.Diff(map[string]any{"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": map[string]any{"replicas": int64(3)},
		"status": map[string]any{"replicas": int64(7), "selector": "a=b"}}, sc.Object); d != "" {
		t.Error(d)
	}

	// what is refused
	for name, tc := range map[string]struct {
		do   func() error
		want string
	}{
		"too long": {func() error {
			_, err := f.boats("v1").Create(ctx, boat("v1", "b", map[string]any{"name": "much too long"}), metav1.CreateOptions{})
			return err
		}, "spec.name: Too long: may not be more than 8 bytes"},
		"wrong type": {func() error {
			_, err := f.boats("v1").Create(ctx, boat("v1", "b", map[string]any{"crew": "many"}), metav1.CreateOptions{})
			return err
		}, "spec.crew: Invalid value"},
		"transition": {func() error {
			_, err := f.boats("v1").Patch(ctx, "a", types.MergePatchType, []byte(`{"spec":{"crew":1}}`), metav1.PatchOptions{})
			return err
		}, "nobody leaves"},
		"unknown field": {func() error {
			_, err := f.boats("v1").Create(ctx, boat("v1", "b", map[string]any{"sail": "red"}), metav1.CreateOptions{FieldValidation: "Strict"})
			return err
		}, `unknown field "spec.sail"`},
		"strategic merge": {func() error {
			_, err := f.boats("v1").Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
			return err
		}, "unknown format"},
		"unknown selector": {func() error {
			_, err := f.boats("v1").List(ctx, metav1.ListOptions{FieldSelector: "spec.crew=1"})
			return err
		}, "field label not supported: spec.crew"},
	} {
		if err := tc.do(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}

	// apply owns what the schema says
	doc := `{"apiVersion":"example.com/v1","kind":"Boat","spec":{"any":{"flag":"red"}}}`
	applied, err := f.boats("v1").Patch(ctx, "a", types.ApplyPatchType, []byte(doc), metav1.PatchOptions{FieldManager: "painter"})
	if err != nil {
		t.Fatal(err)
	}
	if flag, _, _ := unstructured.NestedString(applied.Object, "spec", "any", "flag"); flag != "red" || len(applied.GetManagedFields()) < 2 {
		t.Errorf("applied: %v", applied.Object)
	}

	// another version has another schema, and selectors
	other, err := f.boats("v2").Get(ctx, "a", metav1.GetOptions{})
	if err != nil || other.GetAPIVersion() != "example.com/v2" {
		t.Errorf("in v2: %v, %v", other, err)
	}
	f.create(boat("v2", "c", map[string]any{"name": "cog", "new": "thing"}))
	l, err := f.boats("v1").List(ctx, metav1.ListOptions{FieldSelector: "spec.name=cog"})
	if err != nil || len(l.Items) != 1 || l.Items[0].GetName() != "c" {
		t.Errorf("selected %v, %v", l, err)
	}
}

// TestRestart: what was served is served again, also when the server dies while a definition goes.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	f := start(t, open(t, dir))
	f.define(definition)
	made := boat("v1", "a", map[string]any{"name": "ark"})
	made.SetFinalizers([]string{"example.com/moored"})
	f.create(made)
	f.stop()

	f = start(t, open(t, dir))
	got, err := f.boats("v1").Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.crds.Delete(t.Context(), "", "boats.example.com", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await("boats.example.com", func(o *apiextensionsv1.CustomResourceDefinition) bool {
		return o != nil && condition(o, apiextensionsv1.Terminating) == "True"
	})
	if _, err := f.boats("v1").Create(t.Context(), boat("v1", "b", nil), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("created while the definition goes: %v", err)
	}
	f.stop()

	f = start(t, open(t, dir))
	if _, err := f.boats("v1").Get(t.Context(), got.GetName(), metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.boats("v1").Patch(t.Context(), "a", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await("boats.example.com", func(o *apiextensionsv1.CustomResourceDefinition) bool { return o == nil })
}

// TestChange: a definition that changes is served as it is now, and what was stored fits it.
func TestChange(t *testing.T) {
	f := start(t, open(t, t.TempDir()))
	f.define(definition)
	f.create(boat("v1", "a", map[string]any{"name": "ark"}))
	w, err := f.boats("v1").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	_, err = client.Mutate(t.Context(), f.crds, "", "boats.example.com", func(o *apiextensionsv1.CustomResourceDefinition) error {
		spec := o.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		spec.Properties["sails"] = apiextensionsv1.JSONSchemaProps{Type: "integer", Default: &apiextensionsv1.JSON{Raw: []byte("2")}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range w.ResultChan() { // ends with the old kind
	}
	got, err := f.boats("v1").Get(t.Context(), "a", metav1.GetOptions{})
	if sails, _, _ := unstructured.NestedInt64(got.Object, "spec", "sails"); err != nil || sails != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestConvertedByWebhook: objects are asked for and stored in versions that only somebody else can convert between.
func TestConvertedByWebhook(t *testing.T) {
	calls := 0
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		review := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		req := review["request"].(map[string]any)
		var out []any
		for _, o := range req["objects"].([]any) {
			m := o.(map[string]any)
			m["apiVersion"] = req["desiredAPIVersion"]
			m["metadata"].(map[string]any)["labels"] = map[string]any{"converted": "yes"}
			m["metadata"].(map[string]any)["generation"] = 99 // not its business
			out = append(out, m)
		}
		json.NewEncoder(w).Encode(map[string]any{"apiVersion": review["apiVersion"], "kind": review["kind"], "response": map[string]any{
			"uid": req["uid"], "convertedObjects": out, "result": map[string]any{"status": "Success"}}})
	}))
	defer hook.Close()
	f := start(t, open(t, t.TempDir()))
	f.define(strings.Replace(definition, "  scope:", "  conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: '"+
		hook.URL+"', caBundle: "+bundle(hook)+"}}}\n  scope:", 1))
	for _, name := range []string{"a", "b", "c"} {
		f.create(boat("v1", name, nil))
	}
	calls = 0
	l, err := f.boats("v2").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(l.Items) != 3 || calls != 1 {
		t.Fatalf("%v, %v after %d calls", l, err, calls)
	}
	for _, u := range l.Items {
		if u.GetAPIVersion() != "example.com/v2" || u.GetLabels()["converted"] != "yes" || u.GetGeneration() != 1 {
			t.Errorf("converted: %v", u.Object)
		}
	}
	if _, err := f.boats("v2").List(t.Context(), metav1.ListOptions{}); err != nil || calls != 1 {
		t.Errorf("converted again: %d calls, %v", calls, err)
	}
	hook.Close()
	if _, err := f.boats("v2").Create(t.Context(), boat("v2", "d", nil), metav1.CreateOptions{}); err == nil || !strings.Contains(err.Error(), "conversion webhook for example.com/v2, Kind=Boat failed") {
		t.Errorf("without its webhook: %v", err)
	}
}

// bundle is the server's certificate as a definition takes it.
func bundle(s *httptest.Server) string {
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return base64.StdEncoding.EncodeToString(b)
}
