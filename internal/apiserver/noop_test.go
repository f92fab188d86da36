package apiserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/store/mem"
)

// TestApplyAgain: applying what was applied before is no change, also when time has passed.
func TestApplyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := apiserver.New(apiserver.Config{Store: mem.New(), Registry: api.NewRegistry(testKinds())})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		h := s.Handler()
		maps := client.For[*corev1.ConfigMap](s.Conn(&request.User{Name: "reader", Groups: []string{"system:masters"}}))
		apply := func(doc string) *corev1.ConfigMap {
			t.Helper()
			time.Sleep(3 * time.Second)
			r := httptest.NewRequest(http.MethodPatch, "/api/v1/namespaces/default/configmaps/a?fieldManager=m", strings.NewReader(doc))
			r.Header.Set("Content-Type", "application/apply-patch+yaml")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code >= 300 {
				t.Fatal(w.Body)
			}
			m, err := maps.Get(t.Context(), "default", "a")
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		const doc = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","labels":{"x":"y"}},"data":{"k":"v"}}`
		first, again := apply(doc), apply(doc)
		if first.ResourceVersion != again.ResourceVersion {
			t.Errorf("the same was written again: %s, then %s", first.ResourceVersion, again.ResourceVersion)
		}
		if yaml := apply("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a, labels: {x: \"y\"}}\ndata: {k: v}\n"); yaml.ResourceVersion != first.ResourceVersion {
			t.Error("the same as YAML was written again")
		}
		changed := apply(strings.Replace(doc, `"v"`, `"w"`, 1))
		if changed.ResourceVersion == first.ResourceVersion || changed.Data["k"] != "w" || !changed.ManagedFields[0].Time.After(first.ManagedFields[0].Time.Time) {
			t.Errorf("a change came out as %v", changed)
		}
	})
}

// TestBindingOwnsNothing: upstream's binding gives nobody the fields it sets.
func TestBindingOwnsNothing(t *testing.T) {
	f := start(t)
	pods := client.For[*corev1.Pod](f.conn())
	p, err := pods.Create(t.Context(), pod("p", ""))
	if err != nil {
		t.Fatal(err)
	}
	b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: p.Namespace}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	if _, err := pods.Post(t.Context(), p.Namespace, "p", "binding", b); err != nil {
		t.Fatal(err)
	}
	bound, err := pods.Get(t.Context(), p.Namespace, "p")
	if err != nil || bound.Spec.NodeName != "n" {
		t.Fatal(bound, err)
	}
	for _, m := range bound.ManagedFields {
		if m.Subresource == "binding" {
			t.Errorf("%s owns what the binding set", m.Manager)
		}
	}
}
