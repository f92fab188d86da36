package nodelife

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/controller"
	test "github.com/dhow-project/dhow/internal/controller/controllertest"
)

func keys(n *corev1.Node) []string {
	out := []string{}
	for _, t := range n.Spec.Taints {
		out = append(out, t.Key+" "+string(t.Effect))
	}
	return out
}

func TestNodeFallsSilent(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "n"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}}
	pod.Spec.NodeName = "n"
	seconds, zero := int64(300), int64(0)
	pod.Spec.TerminationGracePeriodSeconds = &zero
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds})
	}
	daemon := pod.DeepCopy()
	daemon.Name = "daemon"
	daemon.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	test.Run(t, func(d controller.Deps) []controller.Part { return []controller.Part{New(d)} }, []api.Object{node, lease, pod, daemon}, func(r *test.Rig) {
		r.Ready(test.All)
		now := func() *corev1.Node { return test.Get[*corev1.Node](r, "", "n") }
		for range 6 { // leases keep it alive
			r.Pass(30 * time.Second)
			test.Change(r, corev1.NamespaceNodeLease, "n", func(l *coordinationv1.Lease) { at := metav1.NowMicro(); l.Spec.RenewTime = &at })
		}
		if c := condition(now(), corev1.NodeReady); c.Status != corev1.ConditionTrue || len(now().Spec.Taints) != 0 {
			t.Fatalf("%+v, taints %v", c, keys(now()))
		}
		r.Pass(41 * time.Second)
		r.Settle()
		if c := condition(now(), corev1.NodeReady); c.Status != corev1.ConditionUnknown || c.Reason != unknown {
			t.Errorf("%+v", c)
		}
		if d := cmp.Diff([]string{corev1.TaintNodeUnreachable + " NoSchedule", corev1.TaintNodeUnreachable + " NoExecute"}, keys(now())); d != "" {
			t.Error(d)
		}
		if controller.PodReady(test.Get[*corev1.Pod](r, "ns", "p")) {
			t.Error("its pod is still ready")
		}
		r.Pass(290 * time.Second)
		if n := len(test.List[*corev1.Pod](r)); n != 2 {
			t.Errorf("%d pods before the toleration ends", n)
		}
		r.Pass(20 * time.Second)
		if l := test.List[*corev1.Pod](r); len(l) != 1 || l[0].Name != "daemon" {
			t.Errorf("%d pods after the toleration ended", len(l))
		}
		// It comes back.
		n := now().DeepCopy()
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}}
		_, err := r.Update(r.Ctx, r.Registry().Kind(corev1.SchemeGroupVersion.WithKind("Node").GroupKind()), n, "status", metav1.UpdateOptions{})
		r.OK(err)
		r.Settle()
		if d := cmp.Diff([]string{}, keys(now())); d != "" {
			t.Error(d)
		}
	})
}
