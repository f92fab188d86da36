package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

var t0 = time.Date(2026, 11, 21, 2, 26, 0, 0, time.UTC)

// scene: "name=running", "name=exited(1)", "name" (nothing yet); "i:" init, "s:" sidecar.
func scene(policy corev1.RestartPolicy, words string, change ...func(*state.Pod)) *state.Pod {
	p := &state.Pod{API: &corev1.Pod{}, Now: t0}
	p.API.Spec.RestartPolicy = policy
	p.Mem.StartTime = t0
	p.PutSandbox(engine.Sandbox{ID: "sb", State: engine.SandboxReady, IPs: []string{"10.88.0.1"}})
	always := corev1.ContainerRestartPolicyAlways
	for _, w := range strings.Fields(words) {
		w, st, _ := strings.Cut(w, "=")
		kind, name, ok := strings.Cut(w, ":")
		if !ok {
			kind, name = "", w
		}
		c := corev1.Container{Name: name, Image: "img"}
		if kind == "s" {
			c.RestartPolicy = &always
		}
		if kind == "" {
			p.API.Spec.Containers = append(p.API.Spec.Containers, c)
		} else {
			p.API.Spec.InitContainers = append(p.API.Spec.InitContainers, c)
		}
		if st == "" {
			continue
		}
		n := engine.Container{ID: name + "0", SandboxID: "sb", Started: t0, State: st}
		n.Config.Name = name
		if _, err := fmt.Sscanf(st, "exited(%d)", &n.ExitCode); err == nil {
			n.State, n.Finished = engine.ContainerExited, t0
		}
		p.Put(n)
		m := p.Mem.Container(name)
		m.ID, m.PostStart = n.ID, state.Done
	}
	for _, f := range change {
		f(p)
	}
	return p
}

// text is phase, reason and the true conditions, then each container's state.
func text(s corev1.PodStatus) string {
	out := string(s.Phase)
	if s.Reason != "" {
		out += " " + s.Reason
	}
	for _, c := range s.Conditions {
		if c.Status == corev1.ConditionTrue && c.Type != corev1.PodScheduled {
			out += " +" + string(c.Type)
		}
	}
	for _, l := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for _, c := range l {
			out += "; " + c.Name + " "
			switch {
			case c.State.Running != nil:
				out += "running"
			case c.State.Terminated != nil:
				out += fmt.Sprintf("%s(%d)", c.State.Terminated.Reason, c.State.Terminated.ExitCode)
			case c.State.Waiting != nil:
				out += c.State.Waiting.Reason
			}
		}
	}
	return out
}

func TestCompute(t *testing.T) {
	always, never := corev1.RestartPolicyAlways, corev1.RestartPolicyNever
	wait := func(name, reason string) func(*state.Pod) {
		return func(p *state.Pod) { p.Mem.Container(name).Waiting = &state.Reason{Reason: reason} }
	}
	none := func(p *state.Pod) { p.Sandboxes = nil }
	failed := func(p *state.Pod) { p.Mem.Failed = &state.Reason{Reason: "Evicted"} }
	for _, tc := range []struct {
		name   string
		p      *state.Pod
		golden string
	}{
		{"new", scene(always, "a", none), "Pending +Initialized; a ContainerCreating"},
		{"no image", scene(always, "a b=running", wait("a", "ErrImagePull")), "Pending +PodReadyToStartContainers +Initialized; a ErrImagePull; b running"},
		{"runs", scene(always, "a=running"), "Running +PodReadyToStartContainers +Initialized +Ready +ContainersReady; a running"},
		{"not ready", scene(always, "a=running", func(p *state.Pod) { p.API.Spec.Containers[0].ReadinessProbe = &corev1.Probe{} }),
			"Running +PodReadyToStartContainers +Initialized; a running"},
		{"gate closed", scene(always, "a=running", func(p *state.Pod) { p.API.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "x/y"}} }),
			"Running +PodReadyToStartContainers +Initialized +ContainersReady; a running"},
		{"init runs", scene(always, "i:i a"), "Pending +PodReadyToStartContainers; i PodInitializing; a PodInitializing"},
		{"init failed", scene(never, "i:i=exited(1) a"), "Failed +PodReadyToStartContainers; i Error(1); a PodInitializing"},
		{"sidecar and main", scene(always, "s:s=running a=running"), "Running +PodReadyToStartContainers +Initialized +Ready +ContainersReady; s running; a running"},
		{"crash loop", scene(always, "a=exited(1)", wait("a", "CrashLoopBackOff")), "Running +PodReadyToStartContainers +Initialized; a CrashLoopBackOff"},
		{"succeeded", scene(never, "a=exited(0)"), "Succeeded +PodReadyToStartContainers +Initialized; a Completed(0)"},
		{"failed", scene(never, "a=exited(0) b=exited(3)"), "Failed +PodReadyToStartContainers +Initialized; a Completed(0); b Error(3)"},
		{"half done", scene(never, "a=exited(0) b=running"), "Running +PodReadyToStartContainers +Initialized; a Completed(0); b running"},
		{"evicted but still running", scene(always, "a=running", failed), "Pending +PodReadyToStartContainers +Initialized +Ready +ContainersReady +DisruptionTarget; a running"},
		{"evicted", scene(always, "a=exited(137)", failed), "Failed Evicted +PodReadyToStartContainers +Initialized +DisruptionTarget; a Error(137)"},
		{"done, only a sidecar left", scene(never, "s:s=running a=exited(0)"), "Pending +PodReadyToStartContainers +Initialized; s running; a Completed(0)"},
	} {
		if d := cmp.Diff(tc.golden, text(Compute(tc.p, &corev1.PodStatus{}, Host{IPs: []string{"192.0.2.1"}}))); d != "" {
			t.Errorf("%s:\n%s", tc.name, d)
		}
	}
}

func TestTransitionTimesStay(t *testing.T) {
	p := scene(corev1.RestartPolicyAlways, "a=running")
	before := Compute(p, &corev1.PodStatus{}, Host{})
	p.Now = t0.Add(time.Hour)
	if d := cmp.Diff(before, Compute(p, &before, Host{})); d != "" {
		t.Error(d)
	}
}

func TestMergeKeepsOthersConditions(t *testing.T) {
	mine := Compute(scene(corev1.RestartPolicyAlways, "a=running"), &corev1.PodStatus{}, Host{})
	theirs := &corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: "x/gate", Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(t0)}}}
	got := Merge(mine, theirs)
	if n := len(got.Conditions); n != len(mine.Conditions)+1 || got.Conditions[n-1].Type != "x/gate" {
		t.Errorf("%+v", got.Conditions)
	}
}
