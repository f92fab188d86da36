package apiserver_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/all"
	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

// admitted starts a server with every kind that notes what its one admission step is asked.
func admitted(t *testing.T, change func(*request.Write)) (*fixture, func() []string) {
	var asked []string
	f := start(t, func(c *apiserver.Config) {
		c.Registry = api.NewRegistry(all.Kinds())
		c.Connect = map[string]apiserver.Connector{"pods/exec": func(w http.ResponseWriter, r *http.Request, _ *apiserver.Connection) {
			fmt.Fprint(w, r.URL.Query().Get("container"))
		}}
		c.Admission = []request.Step{{Name: "Test", Mutate: func(_ context.Context, w *request.Write) error {
			line := fmt.Sprintf("%s %s/%s %s", w.Operation, w.Kind.Resource, w.Subresource, w.Name)
			if w.Body != nil {
				line += fmt.Sprintf(" %T", w.Body)
			}
			if w.Collection {
				line += " collection"
			}
			asked = append(asked, line)
			if change != nil {
				change(w)
			}
			return nil
		}}}
	})
	return f, func() []string {
		out := asked
		asked = nil
		return out
	}
}

// A call is admitted once, as what the client asked for.
func TestWhatIsAdmitted(t *testing.T) {
	f, asked := admitted(t, nil)
	c := f.typed(t, false).CoreV1().Pods("default")
	wants := func(want ...string) {
		t.Helper()
		if got := asked(); !slices.Equal(got, want) {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Create(ctx, pod("p", ""), metav1.CreateOptions{})
	must(err)
	wants("CREATE pods/ p")
	must(c.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Target: corev1.ObjectReference{Name: "n"}}, metav1.CreateOptions{}))
	wants("CREATE pods/binding p *v1.Binding")
	_, err = c.Patch(ctx, "p", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}, "status")
	must(err)
	wants("UPDATE pods/status p")
	must(c.EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p"}}))
	wants("CREATE pods/eviction p *v1.Eviction")
	_, err = c.Create(ctx, pod("q", ""), metav1.CreateOptions{})
	must(err)
	asked()
	must(c.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "metadata.name=q"}))
	wants("DELETE pods/ q collection")
}

// What admission makes of a connection's options is what is connected to.
func TestConnectionsAreAdmitted(t *testing.T) {
	f, asked := admitted(t, func(w *request.Write) {
		if o, ok := w.Body.(*corev1.PodExecOptions); ok {
			o = o.DeepCopy()
			o.Container = "side"
			w.Body = o
		}
	})
	r := do(t, f.s.Handler(), "POST", "/api/v1/namespaces/default/pods/p/exec?command=a&command=b&stdin=true&container=main", "")
	if got := r.Body.String(); got != "side" {
		t.Errorf("connected to %q", got)
	}
	if got := asked(); !slices.Equal(got, []string{"CONNECT pods/exec p *v1.PodExecOptions"}) {
		t.Errorf("asked %q", got)
	}
}

// A step that asks for it is run again, with the others.
func TestSecondPass(t *testing.T) {
	f, asked := admitted(t, func(w *request.Write) { w.Again = true })
	if _, err := f.typed(t, false).CoreV1().Pods("default").Create(t.Context(), pod("p", ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := asked(); strings.Join(got, ",") != "CREATE pods/ p,CREATE pods/ p" {
		t.Errorf("asked %q", got)
	}
}
