package apiserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func names(l *corev1.ConfigMapList) string {
	var out []string
	for _, m := range l.Items {
		out = append(out, m.Name)
	}
	return strings.Join(out, " ")
}

func TestPages(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, true).CoreV1().ConfigMaps("default")
	list := func(o metav1.ListOptions) *corev1.ConfigMapList {
		t.Helper()
		return ok[*corev1.ConfigMapList](t)(c.List(ctx, o))
	}
	for i := range 5 {
		ok[*corev1.ConfigMap](t)(c.Create(ctx, configMap(fmt.Sprint("m", i)), metav1.CreateOptions{}))
	}
	first := list(metav1.ListOptions{Limit: 2})
	if names(first) != "m0 m1" || *first.RemainingItemCount != 3 {
		t.Errorf("first page %s, %d left", names(first), *first.RemainingItemCount)
	}
	// What happens between pages is not seen by the later ones.
	if err := c.Delete(ctx, "m3", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ok[*corev1.ConfigMap](t)(c.Create(ctx, configMap("m9"), metav1.CreateOptions{}))
	second := list(metav1.ListOptions{Limit: 2, Continue: first.Continue})
	third := list(metav1.ListOptions{Limit: 2, Continue: second.Continue})
	if names(second) != "m2 m3" || names(third) != "m4" || third.Continue != "" || third.ResourceVersion != "5" {
		t.Errorf("pages %q, %q at %s", names(second), names(third), third.ResourceVersion)
	}
	if now := list(metav1.ListOptions{}); names(now) != "m0 m1 m2 m4 m9" {
		t.Errorf("now %s", names(now))
	}
	exact := list(metav1.ListOptions{ResourceVersion: "3", ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	if names(exact) != "m0 m1 m2" || exact.ResourceVersion != "3" {
		t.Errorf("at 3: %s", names(exact))
	}
	if _, err := c.List(ctx, metav1.ListOptions{Continue: "nonsense"}); !apierrors.IsBadRequest(err) {
		t.Errorf("bad token: %v", err)
	}
}

func TestSelectors(t *testing.T) {
	f := start(t)
	ctx, c := t.Context(), f.typed(t, false).CoreV1().Pods("")
	for i, node := range []string{"n1", "n2", "n1"} {
		ok[*corev1.Pod](t)(f.typed(t, false).CoreV1().Pods("default").Create(ctx, pod(fmt.Sprint("p", i), node), metav1.CreateOptions{}))
	}
	for sel, want := range map[string]int{"spec.nodeName=n1": 2, "spec.nodeName!=n1": 1, "metadata.name=p1": 1, "metadata.namespace=x": 0} {
		l, err := c.List(ctx, metav1.ListOptions{FieldSelector: sel})
		if err != nil || len(l.Items) != want {
			t.Errorf("%s: %d, %v", sel, len(l.Items), err)
		}
	}
	if _, err := c.List(ctx, metav1.ListOptions{FieldSelector: "spec.x=1"}); !apierrors.IsBadRequest(err) {
		t.Errorf("unknown field: %v", err)
	}
	if l, err := c.List(ctx, metav1.ListOptions{LabelSelector: "app in (web, other)"}); err != nil || len(l.Items) != 3 {
		t.Errorf("labels: %v", err)
	}
}

func TestTooLargeResourceVersion(t *testing.T) {
	t.Parallel()
	f := start(t)
	code, body := f.get(t, "/api/v1/pods?resourceVersion=1000", "")
	want := `"message":"Timeout: Too large resource version: 1000, current: 0","reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1},"code":504`
	if code != http.StatusGatewayTimeout || !strings.Contains(body, want) {
		t.Errorf("%d %s", code, body)
	}
}

// next reads one event, with a limit on patience.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case ev, open := <-w.ResultChan():
		if !open {
			t.Fatal("watch ended")
		}
		return ev
	case <-time.After(5 * time.Second):
		t.Fatal("no event")
	}
	return watch.Event{}
}

func TestWatch(t *testing.T) {
	for _, protobuf := range []bool{false, true} {
		t.Run(fmt.Sprintf("protobuf=%v", protobuf), func(t *testing.T) {
			f := start(t)
			ctx, c := t.Context(), f.typed(t, protobuf).CoreV1().ConfigMaps("default")
			ok[*corev1.ConfigMap](t)(c.Create(ctx, configMap("old"), metav1.CreateOptions{}))
			yes := true
			w := ok[watch.Interface](t)(c.Watch(ctx, metav1.ListOptions{
				SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true, LabelSelector: "hide!=1",
			}))
			defer w.Stop()
			want := func(typ watch.EventType, name, rv string) *corev1.ConfigMap {
				t.Helper()
				ev := next(t, w)
				cm, _ := ev.Object.(*corev1.ConfigMap)
				if ev.Type != typ || cm == nil || cm.Name != name || cm.ResourceVersion != rv {
					t.Fatalf("got %s %+v, want %s %s at %s", ev.Type, ev.Object, typ, name, rv)
				}
				return cm
			}
			want(watch.Added, "old", "1")
			if b := want(watch.Bookmark, "", "1"); b.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
				t.Errorf("bookmark %+v", b)
			}
			cm := ok[*corev1.ConfigMap](t)(c.Create(ctx, configMap("a"), metav1.CreateOptions{}))
			want(watch.Added, "a", "2")
			cm.Labels = map[string]string{"hide": "1"}
			cm = ok[*corev1.ConfigMap](t)(c.Update(ctx, cm, metav1.UpdateOptions{}))
			want(watch.Deleted, "a", "3")
			cm.Labels = nil
			ok[*corev1.ConfigMap](t)(c.Update(ctx, cm, metav1.UpdateOptions{}))
			want(watch.Added, "a", "4")
			if err := c.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			want(watch.Deleted, "a", "5")
			resumed := ok[watch.Interface](t)(c.Watch(ctx, metav1.ListOptions{ResourceVersion: "2"}))
			defer resumed.Stop()
			if ev := next(t, resumed); ev.Type != watch.Modified {
				t.Errorf("resumed with %s", ev.Type)
			}
		})
	}
}

// TestWatchTooOld: history that is gone is told in the stream, as upstream does.
func TestWatchTooOld(t *testing.T) {
	f := start(t)
	ctx, conn := t.Context(), f.conn()
	k := conn.Registry().Kinds()[0]
	cm := configMap("a")
	if _, err := conn.Create(ctx, k, cm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 8200 {
		cm.Data = map[string]string{"i": fmt.Sprint(i)}
		if _, err := conn.Update(ctx, k, cm, "", metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w := ok[watch.Interface](t)(f.typed(t, false).CoreV1().ConfigMaps("").Watch(ctx, metav1.ListOptions{ResourceVersion: "2"}))
	defer w.Stop()
	ev := next(t, w)
	if err := apierrors.FromObject(ev.Object); ev.Type != watch.Error || !apierrors.IsResourceExpired(err) {
		t.Errorf("got %s %v", ev.Type, err)
	}
}

func TestTableAndMetadata(t *testing.T) {
	f := start(t)
	ok[*corev1.Pod](t)(f.typed(t, false).CoreV1().Pods("default").Create(t.Context(), pod("p", ""), metav1.CreateOptions{}))
	for accept, want := range map[string]string{
		"application/json;as=Table;v=v1;g=meta.k8s.io":                     `"cells":["p","Pending"]`,
		"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io": `"kind":"PartialObjectMetadataList"`,
		"application/yaml": "kind: PodList",
		"application/json;as=Nonsense;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io": `"kind":"Table"`,
	} {
		code, body := f.get(t, "/api/v1/pods", accept)
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", accept, code, body)
		}
	}
	if code, body := f.get(t, "/api/v1/pods", "image/png"); code != http.StatusNotAcceptable || !strings.Contains(body, `"reason":"NotAcceptable"`) {
		t.Errorf("image: %d %s", code, body)
	}
}
