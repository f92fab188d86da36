package openapi

import (
	"encoding/json"
	"flag"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
	kubeproto "k8s.io/kube-openapi/pkg/util/proto"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/dhow-project/dhow/internal/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

func registry() *api.Registry {
	deployment := &api.Kind{Kind: "Deployment", Resource: "deployments", Namespaced: true,
		Versions: []api.Version{{Group: "apps", Version: "v1", New: func() api.Object { return &appsv1.Deployment{} }, NewList: func() runtime.Object { return &appsv1.DeploymentList{} }}},
		Subresources: []api.Subresource{
			{Name: "status", Verbs: []string{"get", "update", "patch"}, Prepare: func(obj, old api.Object) {}},
			{Name: "scale", Verbs: []string{"get", "update", "patch"}, Scale: &api.Scale{Get: func(api.Object) *autoscalingv1.Scale { return nil }}},
		}}
	pod := &api.Kind{Kind: "Pod", Resource: "pods", Namespaced: true,
		Versions: []api.Version{{Version: "v1", New: func() api.Object { return &corev1.Pod{} }, NewList: func() runtime.Object { return &corev1.PodList{} }}},
		Subresources: []api.Subresource{
			{Name: "log", Verbs: []string{"get"}}, {Name: "exec", Verbs: []string{"get", "create"}},
			{Name: "binding", Verbs: []string{"create"}, Body: &schema.GroupVersionKind{Version: "v1", Kind: "Binding"}},
		}}
	return api.NewRegistry([]*api.Kind{deployment, pod})
}

func newSpec() *Spec {
	return New(registry(), Options{Version: "v1.36.3", Salt: "x", Markers: func(name string) Marker {
		return map[string]Marker{
			"k8s.io/api/core/v1.Container.Ports":                         {List: "map", Keys: []string{"containerPort", "protocol"}},
			"k8s.io/api/core/v1.ContainerPort.Protocol":                  {Default: "TCP"},
			"k8s.io/apimachinery/pkg/apis/meta/v1.LabelSelector":         {Map: "atomic"},
			"k8s.io/apimachinery/pkg/apis/meta/v1.ObjectMeta.Finalizers": {List: "set"},
		}[name]
	}})
}

func must(t testing.TB) func(b []byte, err error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func golden(t *testing.T, file string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-update writes it anew):\n%s", file, d)
	}
}

func TestV3(t *testing.T) {
	s := newSpec()
	doc, ok, err := s.V3("apis/apps/v1")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	var parsed spec3.OpenAPI
	if err := json.Unmarshal(doc, &parsed); err != nil {
		t.Fatal(err)
	}
	patch := parsed.Paths.Paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].Patch
	if patch.OperationId != "patchAppsV1NamespacedDeployment" || patch.Extensions["x-kubernetes-action"] != "patch" {
		t.Errorf("patch is %s %v", patch.OperationId, patch.Extensions)
	}
	for _, name := range []string{"io.k8s.api.core.v1.Container", "io.k8s.apimachinery.pkg.api.resource.Quantity", "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "io.k8s.apimachinery.pkg.apis.meta.v1.Time"} {
		if parsed.Components.Schemas[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	var raw map[string]any
	json.Unmarshal(doc, &raw)
	schemas := raw["components"].(map[string]any)["schemas"].(map[string]any)
	golden(t, "testdata/v3.json", map[string]any{
		"DeploymentSpec": schemas["io.k8s.api.apps.v1.DeploymentSpec"], "Container": schemas["io.k8s.api.core.v1.Container"],
		"ContainerPort": schemas["io.k8s.api.core.v1.ContainerPort"], "Deployment": schemas["io.k8s.api.apps.v1.Deployment"],
		"Quantity": schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"], "IntOrString": schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"],
		"path": raw["paths"].(map[string]any)["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].(map[string]any)["patch"],
	})
	if _, ok, _ := s.V3("apis/none/v1"); ok {
		t.Error("a document for a group that does not exist")
	}
	must(t)(func() ([]byte, error) { b, _, err := s.V3Proto("api/v1"); return b, err }())
}

func TestV2(t *testing.T) {
	s := newSpec()
	var swagger spec.Swagger
	if err := swagger.UnmarshalJSON(must(t)(s.V2())); err != nil {
		t.Fatal(err)
	}
	container := swagger.Definitions["io.k8s.api.core.v1.Container"]
	ports := container.Properties["ports"]
	if ports.Extensions["x-kubernetes-patch-merge-key"] != "containerPort" || ports.Extensions["x-kubernetes-list-type"] != "map" {
		t.Errorf("ports: %v", ports.Extensions)
	}
	var d openapi_v2.Document
	if err := proto.Unmarshal(must(t)(s.V2Proto()), &d); err != nil {
		t.Fatal(err)
	}
	models, err := kubeproto.NewOpenAPIData(&d) // what kubectl does with it
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"io.k8s.api.apps.v1.Deployment", "io.k8s.api.core.v1.PodList"} {
		if models.LookupModel(name) == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestHTTP(t *testing.T) {
	s := newSpec()
	get := func(url, accept, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", url, nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	if err := json.Unmarshal(get("/openapi/v3", "", "").Body.Bytes(), &index); err != nil {
		t.Fatal(err)
	}
	if len(s.cache) != 0 {
		t.Error("the index built documents")
	}
	url := index.Paths["apis/apps/v1"].ServerRelativeURL
	first := get(url, "application/json", "")
	if first.Code != 200 || !strings.Contains(first.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d %v", url, first.Code, first.Header())
	}
	if again := get(url, "application/json", first.Header().Get("Etag")); again.Code != 304 {
		t.Errorf("with its etag: %d", again.Code)
	}
	if moved := get("/openapi/v3/apis/apps/v1?hash=OLD", "", ""); moved.Code != 301 || moved.Header().Get("Location") != url {
		t.Errorf("old hash: %d %v", moved.Code, moved.Header())
	}
	if v2 := get("/openapi/v2", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf, application/json", ""); v2.Header().Get("Content-Type") != v2Proto {
		t.Errorf("v2: %v", v2.Header())
	}
	if none := get("/openapi/v2", "text/html", ""); none.Code != 406 {
		t.Errorf("html: %d", none.Code)
	}
	s.Add("apis/example.com/v1", "H", func() ([]byte, error) { return []byte("{}"), nil })
	if got := get("/openapi/v3/apis/example.com/v1?hash=H", "", ""); got.Body.String() != "{}" {
		t.Errorf("added document: %d %s", got.Code, got.Body)
	}
	s.Remove("apis/example.com/v1")
	if got := get("/openapi/v3/apis/example.com/v1", "", ""); got.Code != 404 {
		t.Errorf("removed document: %d", got.Code)
	}
	s.drop()
	if len(s.cache) != 0 {
		t.Error("documents are still there")
	}
}
