package authz

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
)

func newReader() *readertest.Reader {
	const g = rbacv1.GroupName
	return readertest.New(
		readertest.Kind[rbacv1.ClusterRole](g, "v1", "ClusterRole", "clusterroles", false),
		readertest.Kind[rbacv1.ClusterRoleBinding](g, "v1", "ClusterRoleBinding", "clusterrolebindings", false),
		readertest.Kind[rbacv1.Role](g, "v1", "Role", "roles", true),
		readertest.Kind[rbacv1.RoleBinding](g, "v1", "RoleBinding", "rolebindings", true),
		readertest.Kind[corev1.Pod]("", "v1", "Pod", "pods", true),
		readertest.Kind[corev1.PersistentVolume]("", "v1", "PersistentVolume", "persistentvolumes", false),
	)
}

// call reads "user[,group...] verb resource[/sub][.group] [ns/][name]" or "user verb /path".
func call(s string) *request.Attributes {
	w := strings.Fields(s)
	who := strings.Split(w[0], ",")
	a := &request.Attributes{User: &request.User{Name: who[0], Groups: who[1:]}, Verb: w[1]}
	if w[2][0] == '/' {
		a.Path = w[2]
		return a
	}
	full, group, _ := strings.Cut(w[2], ".")
	a.Resource, a.Subresource, _ = strings.Cut(full, "/")
	a.Group = group
	if len(w) > 3 {
		if ns, name, ok := strings.Cut(w[3], "/"); ok {
			a.Namespace, a.Name = ns, name
		} else {
			a.Name = w[3]
		}
	}
	return a
}

func check(t *testing.T, z request.Authorizer, want request.Decision, calls ...string) {
	t.Helper()
	for _, c := range calls {
		if d, reason, err := z.Authorize(t.Context(), call(c)); d != want || err != nil {
			t.Errorf("%s: decision %d (%s), %v; want %d", c, d, reason, err, want)
		}
	}
}

const testPolicy = `
role pods-everything
	* core pods
role named
	get,list core secrets one,two
role subresources
	get core pods/log,*/status
	update * */scale
role paths
	get url /logs/*,/metrics
role all
	* * *
	* url *
role reader ns=web
	get,list core pods

bind a ClusterRole/pods-everything User=pods Group=podgroup
bind b ClusterRole/named User=named
bind c ClusterRole/subresources User=sub
bind d ClusterRole/paths User=paths
bind e ClusterRole/all User=all
bind f ns=web Role/reader User=reader ServiceAccount=web/sa
bind g ns=web ClusterRole/paths User=nspaths
bind h ns=web ClusterRole/pods-everything User=nspods
bind i ClusterRole/missing User=lost
`

func TestRBAC(t *testing.T) {
	r := newReader()
	objects, err := parsePolicy(testPolicy)
	if err != nil {
		t.Fatal(err)
	}
	r.Put(objects[:3]...)
	z := NewRBAC(r)
	r.Put(objects[3:]...)

	check(t, z, request.Allow,
		"pods get pods web/x", "pods bind pods", "x,podgroup delete pods web/x",
		"named get secrets web/one", "named list secrets web/two",
		"sub get pods/log web/x", "sub get nodes/status x", "sub get widgets/status x", "sub update deployments/scale.apps web/x",
		"paths get /logs/", "paths get /logs/a/b", "paths get /metrics",
		"all get pods web/x", "all get pods/log web/x", "all use gadgets.example.com x", "all post /anything",
		"reader get pods web/x", "system:serviceaccount:web:sa list pods web/",
		"nspods create pods web/x",
	)
	check(t, z, request.NoOpinion,
		"pods get pods/log web/x", "pods get pods.metrics.k8s.io web/x", "pods get /pods", "podgroup get pods web/x",
		"named get secrets web/three", "named get secrets web/", "named list secrets web/", "named delete secrets web/one",
		"sub get pods web/x", "sub update deployments.apps web/x", "sub get nodes/status.metrics.k8s.io x",
		"paths get /logs", "paths get /metrics/x", "paths post /metrics", "paths get /",
		"reader get pods other/x", "reader get pods", "reader get pods/log web/x", "system:serviceaccount:other:sa list pods web/",
		"nspaths get /metrics", "nspods create pods other/x", "lost get pods web/x",
		"system:anonymous,system:unauthenticated get pods web/x",
	)

	for _, o := range objects {
		if o.GetName() == "f" {
			r.Delete(o)
		}
	}
	check(t, z, request.NoOpinion, "reader get pods web/x")
}

func TestBootstrapPolicy(t *testing.T) {
	r := newReader()
	z := New(r)
	r.Put(Bootstrap()...)
	check(t, z, request.Allow,
		"root,system:masters delete nodes x",
		"system:anonymous,system:unauthenticated get /healthz", "system:anonymous,system:unauthenticated get /livez",
		"system:anonymous,system:unauthenticated get /readyz", "system:anonymous,system:unauthenticated get /version",
		"jane,system:authenticated get /apis/apps/v1", "jane,system:authenticated get /openapi/v2",
		"jane,system:authenticated create selfsubjectaccessreviews.authorization.k8s.io",
		"system:kube-scheduler create pods/binding web/x", "system:kube-controller-manager create serviceaccounts/token kube-system/x",
		"system:serviceaccount:kube-system:deployment-controller create replicasets.apps web/x",
		"x,system:serviceaccounts get /openid/v1/jwks",
	)
	check(t, z, request.NoOpinion,
		"system:anonymous,system:unauthenticated get /api", "system:anonymous,system:unauthenticated get /openapi/v2",
		"system:anonymous,system:unauthenticated get /healthz/etcd", "jane,system:authenticated get pods web/x",
	)
	counts := map[string]int{}
	for _, o := range Bootstrap() {
		counts[fmt.Sprintf("%T", o)]++
		if role, ok := o.(*rbacv1.ClusterRole); ok {
			if role.Name == "view" {
				for _, rule := range role.Rules {
					if hasOrAll(rule.Resources, "secrets") {
						t.Error("view reads secrets")
					}
				}
			}
			if role.Name == "admin" && len(covers(role.Rules, []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"apps"}, Resources: []string{"deployments"}}})) > 0 {
				t.Error("admin does not sum up edit and view")
			}
		}
	}
	t.Log(counts)
}

func TestForbiddenMessages(t *testing.T) {
	for in, want := range map[string]string{
		"jane get pods/log web/x":       `pods "x" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "web"`,
		"jane list nodes":               `nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope`,
		"jane list deployments.apps w/": `deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" in the namespace "w"`,
		"system:anonymous get /x":       `forbidden: User "system:anonymous" cannot get path "/x"`,
	} {
		if got := Forbidden(call(in), "").Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestNode(t *testing.T) {
	r := newReader()
	z := NewNode(r)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "p"}, Spec: corev1.PodSpec{
		NodeName: "a", ServiceAccountName: "app",
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}},
		Containers:       []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "env"}}}}}},
		Volumes: []corev1.Volume{
			{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "vol"}}},
			{Name: "c", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}}},
		},
	}}
	r.Put(pod, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "web", Name: "claim"}}})
	const a, b = "system:node:a,system:nodes ", "system:node:b,system:nodes "
	related := []string{
		"get secrets web/pull", "get secrets web/vol", "get configmaps web/env", "get persistentvolumeclaims web/claim",
		"get persistentvolumes pv", "create serviceaccounts/token web/app", "get pods web/p", "get nodes a",
		"patch nodes/status a", "update leases.coordination.k8s.io kube-node-lease/a",
	}
	for _, c := range related {
		check(t, z, request.Allow, a+c)
		check(t, z, request.NoOpinion, b+c, "system:node:a "+c)
	}
	check(t, z, request.Allow, a+"create nodes", a+"create events web/x", a+"list services", a+"create pods/eviction web/p", a+"create certificatesigningrequests.certificates.k8s.io")
	check(t, z, request.NoOpinion, a+"get secrets other/vol", a+"list secrets web/", a+"delete nodes b", a+"list pods", a+"update leases.coordination.k8s.io web/a", a+"delete secrets web/vol")
	list := call(a + "list pods")
	list.FieldSelector = "spec.nodeName=a"
	if d, _, _ := z.Authorize(t.Context(), list); d != request.Allow {
		t.Error("a node cannot list its own pods")
	}
	r.Put(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "here", Labels: map[string]string{"dhow.dev/node": "a"}}})
	check(t, z, request.Allow, a+"patch persistentvolumes here", a+"get persistentvolumes here")
	check(t, z, request.NoOpinion, b+"patch persistentvolumes here", b+"get persistentvolumes here", a+"patch persistentvolumes pv", a+"delete persistentvolumes here",
		a+"list persistentvolumes", a+"patch persistentvolumes/status here")
	mine := call(a + "watch persistentvolumes")
	mine.LabelSelector = "dhow.dev/node=a"
	if d, why, _ := z.Authorize(t.Context(), mine); d != request.Allow {
		t.Error("a node cannot follow its own volumes: ", why)
	}
	mine.LabelSelector = "dhow.dev/node=b"
	if d, _, _ := z.Authorize(t.Context(), mine); d == request.Allow {
		t.Error("a node can follow the volumes of another")
	}
	r.Delete(pod)
	check(t, z, request.NoOpinion, a+"get secrets web/vol")
}

func BenchmarkAuthorize(b *testing.B) {
	r := newReader()
	z := New(r)
	r.Put(Bootstrap()...)
	for i := range 10_000 {
		r.Put(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: fmt.Sprint(i)},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: fmt.Sprint(i)}}})
	}
	a := call("77,system:authenticated get pods web/x")
	b.ReportAllocs()
	for b.Loop() {
		z.Authorize(b.Context(), a)
	}
}
