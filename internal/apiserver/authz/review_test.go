package authz

import (
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/apiserver/request"
)

func TestEscalation(t *testing.T) {
	r := newReader()
	c := New(r)
	objects, err := parsePolicy(`
role reader
	get,list core pods
role granter
	escalate,bind rbac.authorization.k8s.io roles,clusterroles
role all
	* * *
bind a ns=web ClusterRole/reader User=jane
bind b ClusterRole/granter User=boss
bind c ClusterRole/all User=root
`)
	if err != nil {
		t.Fatal(err)
	}
	r.Put(objects...)
	rule := func(verb, resource string) []rbacv1.PolicyRule {
		return []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{resource}}}
	}
	role := func(ns string, rules []rbacv1.PolicyRule) api.Object {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "r"}, Rules: rules}
	}
	bind := func(ns, to string) api.Object {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "b"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: to}}
	}
	for _, c2 := range []struct {
		user string
		obj  api.Object
		want string
	}{
		{"jane", role("web", rule("get", "pods")), ""},
		{"jane", role("web", rule("get", "*")), `{APIGroups:[""], Resources:["*"], Verbs:["get"]}`},
		{"jane", role("other", rule("get", "pods")), "not currently held"},
		{"jane", role("web", rule("delete", "pods")), "not currently held"},
		{"jane", bind("web", "reader"), ""},
		{"jane", bind("other", "reader"), "not currently held"},
		{"jane", bind("web", "nothing"), "not found"},
		{"boss", role("web", rule("*", "*")), ""},
		{"boss", bind("web", "all"), ""},
		{"root", role("web", rule("*", "*")), ""},
		{"jane", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "x"}, AggregationRule: &rbacv1.AggregationRule{}}, "NonResourceURLs"},
	} {
		resource := map[bool]string{true: "rolebindings", false: "roles"}[isBinding(c2.obj)]
		if c2.obj.GetNamespace() == "" {
			resource = "cluster" + resource
		}
		w := &request.Write{User: &request.User{Name: c2.user}, Operation: request.Create, Namespace: c2.obj.GetNamespace(), Object: c2.obj,
			Kind: r.Registry().Resource(schema.GroupResource{Group: rbacv1.GroupName, Resource: resource})}
		err := c.Step().Check(t.Context(), w)
		if c2.want == "" && err != nil || c2.want != "" && (err == nil || !strings.Contains(err.Error(), c2.want)) {
			t.Errorf("%s writes %v: %v, want %q", c2.user, c2.obj, err, c2.want)
		}
	}
}

func TestReview(t *testing.T) {
	r := newReader()
	c := New(r)
	r.Put(Bootstrap()...)
	u := &request.User{Name: "jane", Groups: []string{"system:authenticated"}}
	can := func(verb, resource, group string) bool {
		out, err := c.Review(t.Context(), u, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource, Group: group}}})
		if err != nil {
			t.Fatal(err)
		}
		return out.(*authorizationv1.SelfSubjectAccessReview).Status.Allowed
	}
	if !can("create", "selfsubjectreviews", "authentication.k8s.io") || can("get", "pods", "") {
		t.Error("self review is wrong")
	}
	if _, err := c.Review(t.Context(), u, &authorizationv1.SubjectAccessReview{}); err == nil || !strings.Contains(err.Error(), "exactly one of") {
		t.Errorf("empty review: %v", err)
	}
	out, err := c.Review(t.Context(), u, &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "web"}})
	if err != nil || len(out.(*authorizationv1.SelfSubjectRulesReview).Status.NonResourceRules) == 0 {
		t.Errorf("rules review: %v, %v", out, err)
	}
}

func TestReconcile(t *testing.T) {
	want := Bootstrap()
	for _, o := range want {
		if up, again := Reconcile(o, o); up != nil || again {
			t.Errorf("%s: reconciling what is right changes it", o.GetName())
		}
	}
	have := &rbacv1.ClusterRoleBinding{ObjectMeta: bootstrapMeta("x"), RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "mine"}}}
	def := have.DeepCopy()
	def.Subjects = []rbacv1.Subject{{Kind: "User", Name: "theirs"}}
	up, _ := Reconcile(have, def)
	if up == nil || len(up.(*rbacv1.ClusterRoleBinding).Subjects) != 2 {
		t.Errorf("got %v", up)
	}
	have.Annotations[autoupdate] = "false"
	if up, _ := Reconcile(have, def); up != nil {
		t.Error("an object that does not want updates got one")
	}
	have.Annotations[autoupdate] = "true"
	have.RoleRef.Name = "other"
	if _, again := Reconcile(have, def); !again {
		t.Error("a binding to another role is not made anew")
	}
}
