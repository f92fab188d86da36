package clienttest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/client"
)

// collect reads until n events that are no bookmarks have come.
func (s *suite) collect(w client.Watch, n int) []string {
	s.t.Helper()
	out := []string{}
	for len(out) < n {
		events, err := w.Next()
		s.ok(err)
		for _, e := range events {
			if e.Type != client.Bookmark && e.Object.GetName() != "kube-root-ca.crt" {
				out = append(out, e.Type+" "+e.Object.GetName())
			}
		}
	}
	return out
}

func (s *suite) watch(o metav1.ListOptions) client.Watch {
	s.t.Helper()
	w, err := s.conn.Watch(s.ctx, s.maps.Kind(), s.ns, o)
	s.ok(err)
	s.t.Cleanup(w.Close)
	return w
}

func watches(t *testing.T, s *suite) {
	m := s.create("a", nil)
	s.create("b", nil)
	_, err := s.maps.Patch(s.ctx, s.ns, "a", "", types.MergePatchType, []byte(`{"data":{"k":"v"}}`))
	s.ok(err)
	s.ok(s.maps.Delete(s.ctx, s.ns, "b", metav1.DeleteOptions{}))
	// Resumed in the past: everything after, in order.
	w := s.watch(metav1.ListOptions{ResourceVersion: m.ResourceVersion})
	if d := cmp.Diff([]string{"ADDED b", "MODIFIED a", "DELETED b"}, s.collect(w, 3)); d != "" {
		t.Error(d)
	}
	s.create("c", nil)
	if d := cmp.Diff([]string{"ADDED c"}, s.collect(w, 1)); d != "" {
		t.Error(d)
	}
	w.Close()
	if _, err := w.Next(); err == nil {
		t.Error("a closed watch goes on")
	}
}

func watchSelected(t *testing.T, s *suite) {
	m := s.create("a", nil)
	w := s.watch(metav1.ListOptions{ResourceVersion: m.ResourceVersion, LabelSelector: "on"})
	for _, p := range []string{`{"metadata":{"labels":{"on":"1"}}}`, `{"data":{"k":"v"}}`, `{"metadata":{"labels":{"on":null}}}`} {
		_, err := s.maps.Patch(s.ctx, s.ns, "a", "", types.MergePatchType, []byte(p))
		s.ok(err)
	}
	if d := cmp.Diff([]string{"ADDED a", "MODIFIED a", "DELETED a"}, s.collect(w, 3)); d != "" {
		t.Error(d)
	}
}

func watchInitial(t *testing.T, s *suite) {
	s.create("a", map[string]string{"mine": ""})
	s.create("b", map[string]string{"mine": ""})
	yes := true
	w := s.watch(metav1.ListOptions{LabelSelector: "mine", SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	marked, seen := false, 0
	for !marked {
		events, err := w.Next()
		s.ok(err)
		for _, e := range events {
			switch {
			case e.Type == client.Added:
				seen++
			case e.Type == client.Bookmark && e.Object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true":
				marked = e.Object.GetResourceVersion() != ""
			}
		}
	}
	if seen != 2 {
		t.Errorf("%d events before the bookmark, want 2", seen)
	}
	s.create("c", map[string]string{"mine": ""})
	if d := cmp.Diff([]string{"ADDED c"}, s.collect(w, 1)); d != "" {
		t.Error(d)
	}
}
