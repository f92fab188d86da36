package apiserver_test

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/google/go-cmp/cmp"
)

func configMap(name string, data ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Data: map[string]string{}}
	for i := 0; i+1 < len(data); i += 2 {
		cm.Data[data[i]] = data[i+1]
	}
	return cm
}

func pod(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
}

func ok[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestObjectLife goes through an object's life by every encoding.
func TestObjectLife(t *testing.T) {
	for _, protobuf := range []bool{false, true} {
		t.Run(fmt.Sprintf("protobuf=%v", protobuf), func(t *testing.T) {
			ctx := t.Context()
			c := start(t).typed(t, protobuf).CoreV1().ConfigMaps("default")
			cm := ok[*corev1.ConfigMap](t)
			made := cm(c.Create(ctx, configMap("a", "k", "v"), metav1.CreateOptions{}))
			if made.UID == "" || made.ResourceVersion != "1" || made.CreationTimestamp.IsZero() || len(made.ManagedFields) != 1 || made.ManagedFields[0].Manager != "tester" {
				t.Fatalf("created %+v", made)
			}
			if d := cmp.Diff(made, cm(c.Get(ctx, "a", metav1.GetOptions{}))); d != "" {
				t.Error(d)
			}
			if _, err := c.Create(ctx, configMap("a"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Errorf("created twice: %v", err)
			}
			made.Data["k"] = "w"
			next := cm(c.Update(ctx, made, metav1.UpdateOptions{}))
			if next.ResourceVersion != "2" || next.Data["k"] != "w" {
				t.Errorf("updated %+v", next)
			}
			if _, err := c.Update(ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) ||
				err.Error() != `Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again` {
				t.Errorf("stale update: %v", err)
			}
			if same := cm(c.Update(ctx, next, metav1.UpdateOptions{})); same.ResourceVersion != "2" {
				t.Errorf("an update that changes nothing took revision %s", same.ResourceVersion)
			}
			l := ok[*corev1.ConfigMapList](t)(c.List(ctx, metav1.ListOptions{}))
			if len(l.Items) != 1 || l.ResourceVersion != "2" || l.Items[0].Data["k"] != "w" {
				t.Errorf("list %+v", l)
			}
			uid := types.UID("other")
			if err := c.Delete(ctx, "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); !apierrors.IsConflict(err) {
				t.Errorf("deleted another object: %v", err)
			}
			if err := c.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
			if _, err := c.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) || err.Error() != `configmaps "a" not found` {
				t.Errorf("after deletion: %v", err)
			}
		})
	}
}

func TestGenerateName(t *testing.T) {
	c := start(t).typed(t, false).CoreV1().ConfigMaps("default")
	cm := configMap("")
	cm.GenerateName = "x-"
	made := ok[*corev1.ConfigMap](t)(c.Create(t.Context(), cm, metav1.CreateOptions{}))
	if len(made.Name) != 7 || !strings.HasPrefix(made.Name, "x-") || strings.ContainsAny(made.Name[2:], "aeiou013") {
		t.Errorf("generated %q", made.Name)
	}
}

func TestValidation(t *testing.T) {
	f := start(t)
	c := f.typed(t, false).CoreV1()
	for name, tc := range map[string]struct {
		obj  *corev1.Pod
		want string
	}{
		"name":       {pod("A_b", ""), `Pod "A_b" is invalid: metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of`},
		"no name":    {pod("", ""), `Pod "" is invalid: metadata.name: Required value: name or generateName is required`},
		"containers": {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, `Pod "a" is invalid: spec.containers: Required value`},
	} {
		_, err := c.Pods("default").Create(t.Context(), tc.obj, metav1.CreateOptions{})
		if !apierrors.IsInvalid(err) && name != "no name" || err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrictFields(t *testing.T) {
	f := start(t)
	c := f.dynamic(t).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "a"}, "dta": map[string]any{"k": "v"}}}
	_, err := c.Create(t.Context(), u, metav1.CreateOptions{FieldValidation: "Strict"})
	want := `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta"`
	if !apierrors.IsBadRequest(err) || err.Error() != want {
		t.Errorf("strict: %v", err)
	}
	if _, err := c.Create(t.Context(), u, metav1.CreateOptions{FieldValidation: "Ignore"}); err != nil {
		t.Error(err)
	}
	for patch, want := range map[string]string{
		`{"data":{"k":"v","k":"w"}}`: `strict decoding error: duplicate field "data.k"`,
		`{"dta":{}}`:                 `strict decoding error: unknown field "dta"`,
	} {
		_, err := c.Patch(t.Context(), "a", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldValidation: "Strict"})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", patch, err)
		}
	}
	_, err = c.Patch(t.Context(), "a", types.ApplyPatchType, []byte("apiVersion: v1\nkind: ConfigMap\ndta: {}\n"), metav1.PatchOptions{FieldManager: "m"})
	if err == nil || err.Error() != "failed to create typed patch object (/; /v1, Kind=ConfigMap): .dta: field not declared in schema" {
		t.Errorf("applied: %v", err)
	}
}

func TestPatches(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).AppsV1().Deployments("default")
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
		Template: corev1.PodTemplateSpec{Spec: pod("", "").Spec}}}
	dep := ok[*appsv1.Deployment](t)
	if made := dep(c.Create(ctx, d, metav1.CreateOptions{})); made.Generation != 1 {
		t.Errorf("generation %d", made.Generation)
	}
	for _, p := range []struct {
		typ  types.PatchType
		data string
		gen  int64
	}{
		{types.JSONPatchType, `[{"op":"add","path":"/metadata/labels","value":{"x":"1"}}]`, 1},
		{types.MergePatchType, `{"spec":{"replicas":3}}`, 2},
		{types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"d","image":"j"}]}}}}`, 3},
		{types.ApplyPatchType, `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"minReadySeconds":5}}`, 4},
	} {
		got, err := c.Patch(ctx, "d", p.typ, []byte(p.data), metav1.PatchOptions{FieldManager: "m"})
		if err != nil || got.Generation != p.gen {
			t.Fatalf("%s: generation %d, %v", p.typ, got.Generation, err)
		}
	}
	got := dep(c.Get(ctx, "d", metav1.GetOptions{}))
	if got.Labels["x"] != "1" || *got.Spec.Replicas != 3 || len(got.Spec.Template.Spec.Containers) != 2 || got.Spec.MinReadySeconds != 5 {
		t.Errorf("patched to %+v", got)
	}
	_, err := c.Patch(ctx, "d", types.ApplyPatchType, []byte(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"minReadySeconds":6}}`), metav1.PatchOptions{FieldManager: "n"})
	if !apierrors.IsConflict(err) || err.Error() != `Apply failed with 1 conflict: conflict with "m": .spec.minReadySeconds` {
		t.Errorf("conflict: %v", err)
	}
	force := true
	if got := dep(c.Patch(ctx, "d", types.ApplyPatchType, []byte(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"minReadySeconds":6}}`), metav1.PatchOptions{FieldManager: "n", Force: &force})); got.Spec.MinReadySeconds != 6 {
		t.Errorf("forced to %d", got.Spec.MinReadySeconds)
	}
}

func TestStatusAndScale(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).AppsV1().Deployments("default")
	dep := ok[*appsv1.Deployment](t)
	d := dep(c.Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d"}, Status: appsv1.DeploymentStatus{Replicas: 9}}, metav1.CreateOptions{}))
	if d.Status.Replicas != 0 {
		t.Error("a creator set the status")
	}
	d.Status.Replicas, d.Spec.MinReadySeconds = 4, 7
	d = dep(c.UpdateStatus(ctx, d, metav1.UpdateOptions{}))
	if d.Status.Replicas != 4 || d.Spec.MinReadySeconds != 0 || d.Generation != 1 {
		t.Errorf("status update made %+v", d)
	}
	d.Status.Replicas = 5
	if d = dep(c.Update(ctx, d, metav1.UpdateOptions{})); d.Status.Replicas != 4 {
		t.Error("an update touched the status")
	}
	sc := ok[*autoscalingv1.Scale](t)(c.GetScale(ctx, "d", metav1.GetOptions{}))
	sc.Spec.Replicas = 3
	sc = ok[*autoscalingv1.Scale](t)(c.UpdateScale(ctx, "d", sc, metav1.UpdateOptions{}))
	if d = dep(c.Get(ctx, "d", metav1.GetOptions{})); sc.Spec.Replicas != 3 || *d.Spec.Replicas != 3 || d.Generation != 2 {
		t.Errorf("scaled to %v, generation %d", *d.Spec.Replicas, d.Generation)
	}
}

func TestDryRun(t *testing.T) {
	f := start(t)
	c := f.typed(t, false).CoreV1().ConfigMaps("default")
	ok[*corev1.ConfigMap](t)(c.Create(t.Context(), configMap("a"), metav1.CreateOptions{DryRun: []string{"All"}}))
	if _, err := c.Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a dry run wrote: %v", err)
	}
}

func TestVersionsShareStorage(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, true)
	ok[*eventsv1.Event](t)(c.EventsV1().Events("default").Create(ctx, &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Note: "hello"}, metav1.CreateOptions{}))
	ev := ok[*corev1.Event](t)(c.CoreV1().Events("default").Get(ctx, "e", metav1.GetOptions{}))
	if ev.Message != "hello" {
		t.Errorf("core event %+v", ev)
	}
	l := ok[*eventsv1.EventList](t)(c.EventsV1().Events("").List(ctx, metav1.ListOptions{}))
	if len(l.Items) != 1 || l.Items[0].Note != "hello" {
		t.Errorf("events %+v", l)
	}
}

func TestBindAndEvict(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, true)
	pods := c.CoreV1().Pods("default")
	ok[*corev1.Pod](t)(pods.Create(ctx, pod("p", ""), metav1.CreateOptions{}))
	b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n1"}}
	if err := pods.Bind(ctx, b, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := ok[*corev1.Pod](t)(pods.Get(ctx, "p", metav1.GetOptions{}))
	if p.Spec.NodeName != "n1" || len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Type != corev1.PodScheduled {
		t.Errorf("bound %+v", p)
	}
	if err := pods.Bind(ctx, b, metav1.CreateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("bound twice: %v", err)
	}
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
	ok[*corev1.Pod](t)(pods.UpdateStatus(ctx, p, metav1.UpdateOptions{}))
	pdb := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
	pdb = ok[*policyv1.PodDisruptionBudget](t)(c.PolicyV1().PodDisruptionBudgets("default").Create(ctx, pdb, metav1.CreateOptions{}))
	ev := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}}
	pdb.Status.ObservedGeneration = pdb.Generation
	pdb = ok[*policyv1.PodDisruptionBudget](t)(c.PolicyV1().PodDisruptionBudgets("default").UpdateStatus(ctx, pdb, metav1.UpdateOptions{}))
	if err := pods.EvictV1(ctx, ev); !apierrors.IsTooManyRequests(err) {
		t.Errorf("evicted against the budget: %v", err)
	}
	pdb.Status.DisruptionsAllowed = 1
	ok[*policyv1.PodDisruptionBudget](t)(c.PolicyV1().PodDisruptionBudgets("default").UpdateStatus(ctx, pdb, metav1.UpdateOptions{}))
	if err := pods.EvictV1(ctx, ev); err != nil {
		t.Error(err)
	}
	if p = ok[*corev1.Pod](t)(pods.Get(ctx, "p", metav1.GetOptions{})); p.DeletionTimestamp == nil {
		t.Error("evicted pod is not being deleted")
	}
}
