package clienttest

import (
	"context"
	"log/slog"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/client"
)

type suite struct {
	t     *testing.T
	ctx   context.Context
	conn  client.Conn
	ns    string
	maps  client.Client[*corev1.ConfigMap]
	nodes client.Client[*corev1.Node]
}

func (s *suite) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) is(what string, is func(error) bool, err error) {
	s.t.Helper()
	if !is(err) {
		s.t.Fatalf("want an error that is %s, got: %v", what, err)
	}
}

func (s *suite) create(name string, labels map[string]string) *corev1.ConfigMap {
	s.t.Helper()
	m, err := s.maps.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: name, Labels: labels}})
	s.ok(err)
	return m
}

func lifecycle(t *testing.T, s *suite) {
	m := s.create("a", nil)
	if m.UID == "" || m.ResourceVersion == "" || m.CreationTimestamp.IsZero() {
		t.Errorf("created without identity: %+v", m.ObjectMeta)
	}
	_, err := s.maps.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "a"}})
	s.is("AlreadyExists", apierrors.IsAlreadyExists, err)
	n := m.DeepCopy()
	n.Data = map[string]string{"k": "v"}
	n, err = s.maps.Update(s.ctx, n)
	s.ok(err)
	got, err := s.maps.Get(s.ctx, s.ns, "a")
	s.ok(err)
	if got.Data["k"] != "v" || got.ResourceVersion != n.ResourceVersion || got.UID != m.UID {
		t.Errorf("read back %+v after writing %+v", got, n)
	}
	s.ok(s.maps.Delete(s.ctx, s.ns, "a", metav1.DeleteOptions{}))
	_, err = s.maps.Get(s.ctx, s.ns, "a")
	s.is("NotFound", apierrors.IsNotFound, err)
	s.is("NotFound", apierrors.IsNotFound, s.maps.Delete(s.ctx, s.ns, "a", metav1.DeleteOptions{}))
}

func conflict(t *testing.T, s *suite) {
	old := s.create("a", nil)
	first := old.DeepCopy()
	first.Data = map[string]string{"by": "first"}
	_, err := s.maps.Update(s.ctx, first)
	s.ok(err)
	second := old.DeepCopy()
	second.Data = map[string]string{"by": "second"}
	_, err = s.maps.Update(s.ctx, second)
	s.is("Conflict", apierrors.IsConflict, err)
	got, err := client.Mutate(s.ctx, s.maps, s.ns, "a", func(m *corev1.ConfigMap) error { m.Data["by"] = "mutate"; return nil })
	s.ok(err)
	if got.Data["by"] != "mutate" {
		t.Errorf("got %v", got.Data)
	}
}

func preconditions(t *testing.T, s *suite) {
	m := s.create("a", nil)
	wrong := types.UID("00000000-0000-4000-8000-000000000000")
	s.is("Conflict", apierrors.IsConflict, s.maps.Delete(s.ctx, s.ns, "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}}))
	s.ok(s.maps.Delete(s.ctx, s.ns, "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &m.UID}}))
}

func statusIsApart(t *testing.T, s *suite) {
	n, err := s.nodes.Create(s.ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})
	s.ok(err)
	defer s.nodes.Delete(context.WithoutCancel(s.ctx), "", s.ns, metav1.DeleteOptions{})
	n = n.DeepCopy()
	n.Spec.Unschedulable = true
	n.Status.NodeInfo.MachineID = "m"
	n, err = s.nodes.UpdateStatus(s.ctx, n)
	s.ok(err)
	if n.Spec.Unschedulable || n.Status.NodeInfo.MachineID != "m" {
		t.Errorf("status update gave spec %+v, status %+v", n.Spec, n.Status.NodeInfo)
	}
	n = n.DeepCopy()
	n.Spec.Unschedulable = true
	n.Status.NodeInfo.MachineID = "other"
	n, err = s.nodes.Update(s.ctx, n)
	s.ok(err)
	if !n.Spec.Unschedulable || n.Status.NodeInfo.MachineID != "m" {
		t.Errorf("update gave spec %+v, status %+v", n.Spec, n.Status.NodeInfo)
	}
}

func patch(t *testing.T, s *suite) {
	s.create("a", map[string]string{"x": "1"})
	for _, c := range []struct {
		kind types.PatchType
		data string
		want map[string]string
	}{
		{types.MergePatchType, `{"data":{"a":"1","b":"2"}}`, map[string]string{"a": "1", "b": "2"}},
		{types.StrategicMergePatchType, `{"data":{"a":null,"c":"3"}}`, map[string]string{"b": "2", "c": "3"}},
		{types.JSONPatchType, `[{"op":"remove","path":"/data/b"}]`, map[string]string{"c": "3"}},
	} {
		m, err := s.maps.Patch(s.ctx, s.ns, "a", "", c.kind, []byte(c.data))
		s.ok(err)
		if d := cmp.Diff(c.want, m.Data); d != "" {
			t.Errorf("%s: %s", c.kind, d)
		}
	}
	_, err := s.maps.Patch(s.ctx, s.ns, "none", "", types.MergePatchType, []byte(`{}`))
	s.is("NotFound", apierrors.IsNotFound, err)
}

func generateName(t *testing.T, s *suite) {
	m, err := s.maps.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, GenerateName: "g-"}})
	s.ok(err)
	if !strings.HasPrefix(m.Name, "g-") || len(m.Name) != 7 {
		t.Errorf("generated %q", m.Name)
	}
}

func finalizers(t *testing.T, s *suite) {
	_, err := s.maps.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: "a", Finalizers: []string{"dhow.dev/test"}}})
	s.ok(err)
	s.ok(s.maps.Delete(s.ctx, s.ns, "a", metav1.DeleteOptions{}))
	m, err := s.maps.Get(s.ctx, s.ns, "a")
	s.ok(err)
	if m.DeletionTimestamp == nil {
		t.Fatal("no deletionTimestamp")
	}
	m = m.DeepCopy()
	m.Finalizers = nil
	_, err = s.maps.Update(s.ctx, m)
	s.ok(err)
	_, err = s.maps.Get(s.ctx, s.ns, "a")
	s.is("NotFound", apierrors.IsNotFound, err)
	s.create("b", nil)
	foreground := metav1.DeletePropagationForeground
	s.ok(s.maps.Delete(s.ctx, s.ns, "b", metav1.DeleteOptions{PropagationPolicy: &foreground}))
	m, err = s.maps.Get(s.ctx, s.ns, "b")
	s.ok(err)
	if d := cmp.Diff([]string{metav1.FinalizerDeleteDependents}, m.Finalizers); d != "" {
		t.Error(d)
	}
	_, err = client.Mutate(s.ctx, s.maps, s.ns, "b", func(m *corev1.ConfigMap) error { m.Finalizers = nil; return nil })
	s.ok(err)
}

func selects(t *testing.T, s *suite) {
	s.create("a", map[string]string{"app": "x"})
	s.create("b", map[string]string{"app": "y"})
	for _, o := range []metav1.ListOptions{{LabelSelector: "app=x"}, {FieldSelector: "metadata.name=a"}, {LabelSelector: "app", FieldSelector: "metadata.name!=b"}} {
		l, err := s.maps.List(s.ctx, s.ns, o)
		s.ok(err)
		if d := cmp.Diff([]string{"a"}, without(names(l))); d != "" {
			t.Errorf("%+v: %s", o, d)
		}
	}
}

func names(l []*corev1.ConfigMap) []string {
	out := []string{}
	for _, m := range l {
		out = append(out, m.Name)
	}
	sort.Strings(out)
	return out
}

// without drops what controllers put into every namespace.
func without(in []string) []string {
	out := []string{}
	for _, n := range in {
		if n != "kube-root-ca.crt" {
			out = append(out, n)
		}
	}
	return out
}

func deleteCollection(t *testing.T, s *suite) {
	s.create("a", map[string]string{"app": "x"})
	s.create("b", map[string]string{"app": "y"})
	s.ok(s.conn.DeleteCollection(s.ctx, s.maps.Kind(), s.ns, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=x"}))
	l, err := s.maps.List(s.ctx, s.ns, metav1.ListOptions{})
	s.ok(err)
	if d := cmp.Diff([]string{"b"}, without(names(l))); d != "" {
		t.Error(d)
	}
}

func caches(t *testing.T, s *suite) {
	s.create("a", map[string]string{"app": "x"})
	c := client.NewCaches(s.conn, slog.New(slog.DiscardHandler))
	c.Guard()
	maps := client.CacheOf[*corev1.ConfigMap](c, client.Namespace(s.ns), client.Labels("app"))
	maps.Index("app", func(m *corev1.ConfigMap) []string { return []string{m.Labels["app"]} })
	seen := make(chan string, 100)
	maps.Subscribe(func(old, obj *corev1.ConfigMap) {
		switch {
		case old == nil:
			seen <- "+" + obj.Name
		case obj == nil:
			seen <- "-" + old.Name
		default:
			seen <- obj.Name
		}
	})
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	s.ok(c.WaitSynced(ctx))
	s.create("b", map[string]string{"app": "y"})
	_, err := s.maps.Patch(s.ctx, s.ns, "b", "", types.MergePatchType, []byte(`{"data":{"k":"v"}}`))
	s.ok(err)
	s.ok(s.maps.Delete(s.ctx, s.ns, "a", metav1.DeleteOptions{}))
	for _, want := range []string{"+a", "+b", "b", "-a"} {
		if got := <-seen; got != want {
			t.Fatalf("got change %s, want %s", got, want)
		}
	}
	if got := names(maps.By("app", "y")); len(got) != 1 || len(maps.By("app", "x")) != 0 || maps.Len() != 1 {
		t.Errorf("index holds %v, cache %d", got, maps.Len())
	}
	cancel()
	s.ok(<-done)
	s.ok(c.CheckUnchanged())
}
