package apiserver_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestGracefulDeletion(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).CoreV1().Pods("default")
	p := ok[*corev1.Pod](t)
	p(c.Create(ctx, pod("waiting", ""), metav1.CreateOptions{}))
	p(c.Create(ctx, pod("running", "n"), metav1.CreateOptions{}))
	del := func(name string, o metav1.DeleteOptions) {
		t.Helper()
		if err := c.Delete(ctx, name, o); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(name string) bool {
		_, err := c.Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}
	if del("waiting", metav1.DeleteOptions{}); !gone("waiting") {
		t.Error("a pod on no node is still there")
	}
	del("running", metav1.DeleteOptions{})
	first := p(c.Get(ctx, "running", metav1.GetOptions{}))
	if first.DeletionTimestamp == nil || *first.DeletionGracePeriodSeconds != 30 {
		t.Fatalf("marked %+v", first.ObjectMeta)
	}
	del("running", metav1.DeleteOptions{GracePeriodSeconds: new(int64(60))})
	if same := p(c.Get(ctx, "running", metav1.GetOptions{})); same.ResourceVersion != first.ResourceVersion {
		t.Error("a longer grace period changed something")
	}
	del("running", metav1.DeleteOptions{GracePeriodSeconds: new(int64(5))})
	if shorter := p(c.Get(ctx, "running", metav1.GetOptions{})); *shorter.DeletionGracePeriodSeconds != 5 ||
		first.DeletionTimestamp.Sub(shorter.DeletionTimestamp.Time).Seconds() != 25 {
		t.Errorf("shortened to %+v", shorter.ObjectMeta)
	}
	if del("running", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); !gone("running") {
		t.Error("still there after grace period 0")
	}
}

func TestFinalizers(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).CoreV1().ConfigMaps("default")
	cm := ok[*corev1.ConfigMap](t)
	a := configMap("a")
	a.Finalizers = []string{"example.com/hold"}
	cm(c.Create(ctx, a, metav1.CreateOptions{}))
	for range 2 {
		if err := c.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	a = cm(c.Get(ctx, "a", metav1.GetOptions{}))
	if a.DeletionTimestamp == nil || *a.DeletionGracePeriodSeconds != 0 || a.ResourceVersion != "2" {
		t.Errorf("marked %+v", a.ObjectMeta)
	}
	a.Finalizers = append(a.Finalizers, "example.com/more")
	if _, err := c.Update(ctx, a, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a finalizer was added during deletion: %v", err)
	}
	a.Finalizers = nil
	cm(c.Update(ctx, a, metav1.UpdateOptions{}))
	if _, err := c.Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the last finalizer: %v", err)
	}
	for policy, want := range map[metav1.DeletionPropagation]string{
		metav1.DeletePropagationForeground: "foregroundDeletion", metav1.DeletePropagationOrphan: "orphan",
	} {
		cm(c.Create(ctx, configMap(want[:3]), metav1.CreateOptions{}))
		if err := c.Delete(ctx, want[:3], metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
			t.Fatal(err)
		}
		if got := cm(c.Get(ctx, want[:3], metav1.GetOptions{})); len(got.Finalizers) != 1 || got.Finalizers[0] != want {
			t.Errorf("%s: finalizers %v", policy, got.Finalizers)
		}
	}
}

func TestNamespaceFinalize(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).CoreV1().Namespaces()
	n := ok[*corev1.Namespace](t)
	n(c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}))
	if err := c.Delete(ctx, "x", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ns := n(c.Get(ctx, "x", metav1.GetOptions{}))
	if ns.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("phase %s", ns.Status.Phase)
	}
	ns.Spec.Finalizers = nil
	n(c.Finalize(ctx, ns, metav1.UpdateOptions{}))
	if _, err := c.Get(ctx, "x", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after finalize: %v", err)
	}
}

func TestDeleteCollection(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).CoreV1().ConfigMaps("default")
	for _, name := range []string{"a", "b", "c"} {
		m := configMap(name)
		m.Labels = map[string]string{"keep": map[bool]string{true: "yes", false: "no"}[name == "b"]}
		ok[*corev1.ConfigMap](t)(c.Create(ctx, m, metav1.CreateOptions{}))
	}
	if err := c.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "keep=no"}); err != nil {
		t.Fatal(err)
	}
	l := ok[*corev1.ConfigMapList](t)(c.List(ctx, metav1.ListOptions{}))
	if len(l.Items) != 1 || l.Items[0].Name != "b" {
		t.Errorf("left: %+v", l.Items)
	}
}
