package apiserver_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/dhow-project/dhow/internal/apiserver"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/client"
)

func (f *fixture) get(t *testing.T, path, accept string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", f.web.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	resp, err := f.web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestDiscovery(t *testing.T) {
	f := start(t)
	for _, legacy := range []bool{false, true} {
		c, err := discovery.NewDiscoveryClientForConfig(f.config())
		if err != nil {
			t.Fatal(err)
		}
		c.UseLegacyDiscovery = legacy
		groups, lists, err := c.ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, l := range lists {
			for _, r := range l.APIResources {
				found[l.GroupVersion+"/"+r.Name] = true
			}
		}
		if len(groups) != 4 || !found["v1/pods"] || !found["v1/pods/status"] || !found["apps/v1/deployments/scale"] || !found["events.k8s.io/v1/events"] {
			t.Errorf("legacy %v: %d groups, %v", legacy, len(groups), found)
		}
	}
}

func TestPaths(t *testing.T) {
	f := start(t)
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/healthz":                    {200, "ok"},
		"/readyz?verbose":             {200, "[+]ping ok\nreadyz check passed\n"},
		"/nothing":                    {404, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}` + "\n"},
		"/api/v1/pods/x":              {405, `"code":405`},
		"/apis/apps":                  {200, `"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}`},
		"/api/v1/namespaces/n/pods/x": {404, `"message":"pods \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}`},
	} {
		code, body := f.get(t, path, "")
		if code != want.code || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestWarnings(t *testing.T) {
	f := start(t)
	var got warnings
	p := pod("a", "")
	p.Labels["warn"] = "1"
	conn := f.typedWith(t, func(c *rest.Config) { c.WarningHandler = &got })
	ok[*corev1.Pod](t)(conn.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{}))
	if len(got) != 1 || got[0] != `label "warn" is set` {
		t.Errorf("warnings %q", got)
	}
}

type warnings []string

func (w *warnings) HandleWarningHeader(code int, agent, text string) { *w = append(*w, text) }

// who authenticates by a header and lets only alice do everything.
type who struct{}

func (who) Authenticate(r *http.Request) (*request.User, error) {
	if n := r.Header.Get("X-User"); n != "" {
		return &request.User{Name: n}, nil
	}
	return nil, nil
}

func (who) Authorize(_ context.Context, a *request.Attributes) (request.Decision, string, error) {
	if a.User.Name == "alice" {
		return request.Allow, "", nil
	}
	return request.NoOpinion, "", nil
}

func TestAuthorization(t *testing.T) {
	f := start(t, func(c *apiserver.Config) {
		c.Authenticators, c.Authorizers = []request.Authenticator{who{}}, []request.Authorizer{who{}}
	})
	as := func(user string, impersonate string) error {
		c := f.typedWith(t, func(c *rest.Config) {
			c.WrapTransport = func(rt http.RoundTripper) http.RoundTripper { return withUser{rt, user} }
			c.Impersonate.UserName = impersonate
		})
		_, err := c.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := as("alice", ""); err != nil {
		t.Error(err)
	}
	want := `pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"`
	if err := as("bob", ""); !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("bob: %v", err)
	}
	if err := as("alice", "bob"); err == nil || err.Error() != want {
		t.Errorf("alice as bob: %v", err)
	}
	if err := as("bob", "alice"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `cannot impersonate resource "users"`) {
		t.Errorf("bob as alice: %v", err)
	}
	local := client.For[*corev1.Pod](f.s.Conn(&request.User{Name: "bob"}))
	if _, err := local.List(t.Context(), "default", metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("bob in process: %v", err)
	}
}

type withUser struct {
	http.RoundTripper
	user string
}

func (w withUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-User", w.user)
	return w.RoundTripper.RoundTrip(r)
}
