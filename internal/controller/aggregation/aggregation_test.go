package aggregation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func role(name, to string, resources ...string) *rbacv1.ClusterRole {
	r := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"to": to}}}
	for _, s := range resources {
		r.Rules = append(r.Rules, rbacv1.PolicyRule{Resources: []string{s}})
	}
	return r
}

func TestAggregation(t *testing.T) {
	edit := role("edit", "admin", "stale")
	edit.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"to": "edit"}}, {MatchLabels: map[string]string{"to": "view"}}}}
	admin := role("admin", "")
	admin.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"to": "admin"}}}}
	seed := []api.Object{edit, admin, role("b", "edit", "pods", "jobs"), role("a", "edit", "secrets"), role("c", "view", "pods"), role("d", "other", "nodes")}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, seed, func(r *test.Rig) {
		want := func(name string, want ...string) {
			t.Helper()
			var got []string
			for _, rule := range test.Get[*rbacv1.ClusterRole](r, "", name).Rules {
				got = append(got, rule.Resources...)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		want("edit", "secrets", "pods", "jobs")
		want("admin", "secrets", "pods", "jobs")
		r.OK(client.For[*rbacv1.ClusterRole](r.Fake).Delete(r.Ctx, "", "a", metav1.DeleteOptions{}))
		test.Change(r, "", "d", func(o *rbacv1.ClusterRole) { o.Labels["to"] = "view" })
		want("admin", "pods", "jobs", "nodes")
		test.Change(r, "", "edit", func(o *rbacv1.ClusterRole) { o.Rules = nil })
		want("edit", "pods", "jobs", "nodes")
	})
}
