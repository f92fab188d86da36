package admission

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/api/binding"
	"github.com/dhow-project/dhow/internal/apiserver/request"
	"github.com/dhow-project/dhow/internal/apiserver/request/readertest"
)

func meta(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }

func newWorld() *readertest.Reader {
	r := readertest.New(
		readertest.Kind[corev1.Namespace]("", "v1", "Namespace", "namespaces", false),
		readertest.Kind[corev1.ServiceAccount]("", "v1", "ServiceAccount", "serviceaccounts", true),
		readertest.Kind[corev1.Pod]("", "v1", "Pod", "pods", true),
		readertest.Kind[corev1.Node]("", "v1", "Node", "nodes", false),
		readertest.Kind[corev1.Service]("", "v1", "Service", "services", true),
		readertest.Kind[corev1.ConfigMap]("", "v1", "ConfigMap", "configmaps", true),
		readertest.Kind[corev1.LimitRange]("", "v1", "LimitRange", "limitranges", true),
		readertest.Kind[corev1.ResourceQuota]("", "v1", "ResourceQuota", "resourcequotas", true),
		readertest.Kind[corev1.PersistentVolumeClaim]("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
		readertest.Kind[corev1.PersistentVolume]("", "v1", "PersistentVolume", "persistentvolumes", false),
		readertest.Kind[schedulingv1.PriorityClass](schedulingv1.GroupName, "v1", "PriorityClass", "priorityclasses", false),
		readertest.Kind[storagev1.StorageClass](storagev1.GroupName, "v1", "StorageClass", "storageclasses", false),
	)
	r.Put(&corev1.Namespace{ObjectMeta: meta("", "web")}, &corev1.ServiceAccount{ObjectMeta: meta("web", "default"), ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}})
	return r
}

func write(r *readertest.Reader, resourceName string, obj, old api.Object) *request.Write {
	w := &request.Write{User: &request.User{Name: "jane"}, Operation: request.Create, Object: obj, Old: old, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	for _, k := range r.Registry().Kinds() {
		if k.Resource == resourceName {
			w.Kind, w.Version = k, k.Hub()
		}
	}
	if old != nil {
		w.Operation = request.Update
	}
	return w
}

func admit(t testing.TB, steps []request.Step, w *request.Write) error {
	t.Helper()
	for _, s := range steps {
		if s.Mutate != nil {
			if err := s.Mutate(t.Context(), w); err != nil {
				for i := len(w.Rollback) - 1; i >= 0; i-- {
					w.Rollback[i]()
				}
				return err
			}
		}
	}
	for _, s := range steps {
		if s.Finish != nil {
			if err := s.Finish(t.Context(), w); err != nil {
				for i := len(w.Rollback) - 1; i >= 0; i-- {
					w.Rollback[i]()
				}
				return err
			}
		}
	}
	for _, s := range steps {
		if s.Check != nil {
			if err := s.Check(t.Context(), w); err != nil {
				return err
			}
		}
	}
	return nil
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: meta("web", name), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
}

var ranges = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}

func wants(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestPlainPod(t *testing.T) {
	r := newWorld()
	p := pod("a")
	if err := admit(t, Steps(r, Options{}), write(r, "pods", p, nil)); err != nil {
		t.Fatal(err)
	}
	volume := p.Spec.Volumes[0].Name
	if !strings.HasPrefix(volume, "kube-api-access-") || len(volume) != len("kube-api-access-")+5 {
		t.Errorf("volume %q", volume)
	}
	zero, lower, seconds := int32(0), corev1.PreemptLowerPriority, int64(300)
	want := corev1.PodSpec{
		Containers:               []corev1.Container{{Name: "app", VolumeMounts: []corev1.VolumeMount{{Name: volume, ReadOnly: true, MountPath: tokenMountPath}}}},
		Volumes:                  []corev1.Volume{tokenVolume(volume)},
		ServiceAccountName:       "default",
		DeprecatedServiceAccount: "default",
		ImagePullSecrets:         []corev1.LocalObjectReference{{Name: "pull"}},
		Priority:                 &zero, PreemptionPolicy: &lower,
		Tolerations: []corev1.Toleration{
			{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
			{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
		},
	}
	if d := cmp.Diff(want, p.Spec); d != "" {
		t.Error(d)
	}
	if got := *p.Spec.Volumes[0].Projected.Sources[0].ServiceAccountToken.ExpirationSeconds; got != 3607 {
		t.Errorf("token lives %d s", got)
	}
}

func TestRefusals(t *testing.T) {
	r := newWorld()
	gone := &corev1.Namespace{ObjectMeta: meta("", "gone"), Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}}
	strict := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	r.Put(gone, strict, &corev1.ServiceAccount{ObjectMeta: meta("strict", "default")})
	steps := Steps(r, Options{ServiceRanges: ranges})
	in := func(p *corev1.Pod, ns string, f func(*corev1.Pod)) *request.Write {
		p.Namespace = ns
		if f != nil {
			f(p)
		}
		return write(r, "pods", p, nil)
	}
	wants(t, admit(t, steps, in(pod("a"), "gone", nil)), "unable to create new content in namespace gone because it is being terminated")
	wants(t, admit(t, steps, in(pod("a"), "none", nil)), `namespaces "none" not found`)
	wants(t, admit(t, steps, in(pod("a"), "strict", nil)), `pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false`)
	wants(t, admit(t, steps, in(pod("a"), "web", func(p *corev1.Pod) { p.Spec.ServiceAccountName = "x" })), `error looking up service account web/x: serviceaccount "x" not found`)
	wants(t, admit(t, steps, in(pod("a"), "web", func(p *corev1.Pod) { p.Spec.PriorityClassName = "x" })), "no PriorityClass with name x was found")
	wants(t, admit(t, steps, in(pod("a"), "web", func(p *corev1.Pod) { p.Spec.PriorityClassName = "system-node-critical" })), "")
	del := write(r, "namespaces", gone, nil)
	del.Operation, del.Object, del.Name = request.Delete, nil, "kube-system"
	wants(t, admit(t, steps, del), "this namespace may not be deleted")
	node := &corev1.Node{ObjectMeta: meta("", "b")}
	w := write(r, "nodes", node, nil)
	w.User = &request.User{Name: "system:node:a", Groups: []string{"system:nodes"}}
	wants(t, admit(t, steps, w), `node "a" is not allowed to modify node "b"`)
	w.User = &request.User{Name: "jane"}
	wants(t, admit(t, steps, w), "")
	if len(node.Spec.Taints) != 1 || node.Spec.Taints[0].Key != "node.kubernetes.io/not-ready" {
		t.Errorf("taints %v", node.Spec.Taints)
	}
}

func list(kv ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		out[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return out
}

func TestLimitRange(t *testing.T) {
	r := newWorld()
	r.Put(&corev1.LimitRange{ObjectMeta: meta("web", "l"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer, Default: list("cpu", "500m"), DefaultRequest: list("cpu", "100m", "memory", "64Mi"),
		Min: list("memory", "32Mi"), Max: list("cpu", "1"), MaxLimitRequestRatio: list("cpu", "8"),
	}}}})
	steps := Steps(r, Options{})
	p := pod("a")
	wants(t, admit(t, steps, write(r, "pods", p, nil)), "")
	if got := p.Annotations[limitAnnotation]; got != "LimitRanger plugin set: cpu, memory request for container app; cpu limit for container app" {
		t.Errorf("annotation %q", got)
	}
	p = pod("b")
	p.Spec.Containers[0].Resources.Limits = list("cpu", "2")
	p.Spec.Containers[0].Resources.Requests = list("memory", "1Mi")
	err := admit(t, steps, write(r, "pods", p, nil))
	wants(t, err, "minimum memory usage per Container is 32Mi, but request is 1Mi")
	wants(t, err, "maximum cpu usage per Container is 1, but limit is 2")
	wants(t, err, "cpu max limit to request ratio per Container is 8, but provided ratio is 20.000000")
}

func TestQuota(t *testing.T) {
	r := newWorld()
	hard := list("pods", "2", "requests.cpu", "1", "count/configmaps", "1")
	r.Put(&corev1.ResourceQuota{ObjectMeta: meta("web", "q"), Status: corev1.ResourceQuotaStatus{Hard: hard, Used: list("pods", "0", "requests.cpu", "0", "count/configmaps", "0")}})
	steps := Steps(r, Options{UpdateQuota: func(_ context.Context, q *corev1.ResourceQuota) error { r.Put(q); return nil }})
	make := func(name, cpu string) error {
		p := pod(name)
		if cpu != "" {
			p.Spec.Containers[0].Resources.Requests = list("cpu", cpu)
		}
		return admit(t, steps, write(r, "pods", p, nil))
	}
	wants(t, make("a", ""), "failed quota: q: must specify requests.cpu for: app")
	wants(t, make("a", "600m"), "")
	wants(t, make("b", "600m"), `pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1`)
	wants(t, make("b", "400m"), "")
	wants(t, make("c", "0"), "requested: pods=1, used: pods=2, limited: pods=2")
	cm := func(n string) *request.Write {
		return write(r, "configmaps", &corev1.ConfigMap{ObjectMeta: meta("web", n)}, nil)
	}
	wants(t, admit(t, steps, cm("a")), "")
	wants(t, admit(t, steps, cm("b")), "exceeded quota: q, requested: count/configmaps=1")
}

func TestDefaultAccountIsWaitedFor(t *testing.T) {
	r := newWorld()
	r.Put(&corev1.Namespace{ObjectMeta: meta("", "new")})
	steps := Steps(r, Options{})
	done := make(chan error)
	p := pod("a")
	p.Namespace = "new"
	go func() { done <- admit(t, steps, write(r, "pods", p, nil)) }()
	r.Put(&corev1.ServiceAccount{ObjectMeta: meta("new", "default")})
	wants(t, <-done, "")
}

func TestSystemObjects(t *testing.T) {
	objects := SystemObjects(System{ServiceRanges: ranges, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Port: 6443})
	names := map[string]bool{}
	for _, o := range objects {
		names[o.GetNamespace()+"/"+o.GetName()] = true
		if s, ok := o.(*corev1.Service); ok && s.Spec.ClusterIP != "10.96.0.1" {
			t.Errorf("cluster IP %s", s.Spec.ClusterIP)
		}
	}
	for _, n := range []string{"/default", "/kube-node-lease", "default/kubernetes", "kube-system/extension-apiserver-authentication", "/system-node-critical"} {
		if !names[n] {
			t.Errorf("%s is missing", n)
		}
	}
}

func TestNodeRestriction(t *testing.T) {
	r := newWorld()
	mine, other := pod("mine"), pod("other")
	mine.Spec.NodeName, other.Spec.NodeName, mine.UID = "a", "b", "u1"
	r.Put(mine, other)
	z := &world{Reader: r}
	by := func(w *request.Write) error {
		w.User = &request.User{Name: "system:node:a", Groups: []string{"system:nodes"}}
		return z.nodeRestriction(t.Context(), w)
	}
	of := func(p *corev1.Pod, op request.Operation, sub string) *request.Write {
		w := write(r, "pods", p, p)
		w.Operation, w.Subresource = op, sub
		return w
	}
	token := func(ref *authenticationv1.BoundObjectReference) *request.Write {
		w := write(r, "serviceaccounts", &corev1.ServiceAccount{ObjectMeta: meta("web", "default")}, nil)
		w.Object, w.Subresource = nil, "token"
		w.Body = &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: ref}}
		return w
	}
	ref := func(name, uid string) *authenticationv1.BoundObjectReference {
		return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: types.UID(uid)}
	}
	node := func(labels map[string]string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	volume := func(node string, deleted bool, finalizers ...string) *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", Labels: map[string]string{binding.LocalPathNode: node}, Finalizers: finalizers}}
		if deleted {
			v.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		}
		return v
	}
	const held, others = binding.LocalPathFinalizer, "kubernetes.io/pv-protection"
	labelled := pod("mine")
	labelled.Labels = map[string]string{"app": "db"}
	status := of(labelled, request.Update, "status")
	status.Old = mine
	for _, c := range []struct {
		w    *request.Write
		want string
	}{
		{of(mine, request.Update, "status"), ""},
		{status, "cannot update labels through pod status"},
		{of(other, request.Update, "status"), "can only update pod status for pods with spec.nodeName set to itself"},
		{of(mine, request.Delete, ""), ""},
		{of(other, request.Delete, ""), "can only delete pods with spec.nodeName set to itself"},
		{of(mine, request.Create, ""), "can only create mirror pods"},
		{of(mine, request.Create, "binding"), "only 'status' and 'eviction' are allowed"},
		{token(ref("mine", "u1")), ""},
		{token(ref("mine", "u2")), "does not match the UID"},
		{token(ref("mine", "")), "without a uid"},
		{token(ref("other", "x")), "UID"},
		{token(nil), "not bound to a pod"},
		{write(r, "nodes", node(map[string]string{"kubernetes.io/hostname": "a", "team": "x"}), nil), ""},
		{write(r, "nodes", node(map[string]string{"node-restriction.kubernetes.io/x": "1"}), nil), "not allowed to set the following labels: node-restriction.kubernetes.io/x"},
		{write(r, "nodes", node(nil, corev1.Taint{Key: "k"}), node(nil)), "not allowed to modify taints"},
		{write(r, "nodes", node(map[string]string{"k8s.io/y": ""}), node(nil)), "is not allowed to modify labels: k8s.io/y"},
		{write(r, "persistentvolumes", volume("a", true, others), volume("a", true, others, held)), ""},
		{write(r, "persistentvolumes", volume("a", true), volume("a", true, others, held)), "may only remove the finalizer"},
		{write(r, "persistentvolumes", volume("a", false), volume("a", false, held)), "can only release deleted volumes"},
		{write(r, "persistentvolumes", volume("b", true), volume("b", true, held)), "can only release deleted volumes"},
		{write(r, "persistentvolumes", volume("a", false), nil), "can only release deleted volumes"},
	} {
		wants(t, by(c.w), c.want)
	}
}

func TestStorage(t *testing.T) {
	r := newWorld()
	grow := true
	class := func(name, def string) *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{defaultClass: def}}, AllowVolumeExpansion: &grow}
	}
	r.Put(class("fast", "false"), class("slow", "true"))
	steps := Steps(r, Options{})
	c := &corev1.PersistentVolumeClaim{ObjectMeta: meta("web", "c"), Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1Gi")}}}
	wants(t, admit(t, steps, write(r, "persistentvolumeclaims", c, nil)), "")
	if c.Spec.StorageClassName == nil || *c.Spec.StorageClassName != "slow" || !cmp.Equal(c.Finalizers, []string{"kubernetes.io/pvc-protection"}) {
		t.Errorf("got %v %v", c.Spec.StorageClassName, c.Finalizers)
	}
	bigger := c.DeepCopy()
	bigger.Spec.Resources.Requests = list("storage", "2Gi")
	wants(t, admit(t, steps, write(r, "persistentvolumeclaims", bigger, c)), "Only bound persistent volume claims can be expanded")
	c.Status.Phase = corev1.ClaimBound
	wants(t, admit(t, steps, write(r, "persistentvolumeclaims", bigger, c)), "")
	grow = false
	wants(t, admit(t, steps, write(r, "persistentvolumeclaims", bigger, c)), "only dynamically provisioned pvc can be resized")
}
