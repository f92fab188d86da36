package pod

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/spec"
	"github.com/dhow-project/dhow/internal/node/state"
)

var t0 = time.Date(2026, 11, 21, 2, 26, 0, 0, time.UTC)

// scene builds a state in few words. Containers are "name" or "name=state" or "name=exited(code)"; prefix "i:" is an init
// container, "s:" a sidecar, "e:" an ephemeral one.
func scene(policy corev1.RestartPolicy, words string, change ...func(*state.Pod)) *state.Pod {
	p := &state.Pod{API: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u"}}, Now: t0}
	grace := int64(30)
	p.API.Spec.RestartPolicy, p.API.Spec.TerminationGracePeriodSeconds = policy, &grace
	p.Mem.Volumes, p.Mem.StartTime = state.Done, t0
	p.PutSandbox(engine.Sandbox{ID: "sb", State: engine.SandboxReady})
	always := corev1.ContainerRestartPolicyAlways
	for i, w := range strings.Fields(words) {
		w, st, _ := strings.Cut(w, "=")
		kind, name, ok := strings.Cut(w, ":")
		if !ok {
			kind, name = "", w
		}
		c := corev1.Container{Name: name, Image: "img"}
		switch kind {
		case "s":
			c.RestartPolicy = &always
			fallthrough
		case "i":
			p.API.Spec.InitContainers = append(p.API.Spec.InitContainers, c)
		case "e":
			p.API.Spec.EphemeralContainers = append(p.API.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon(c)})
		default:
			p.API.Spec.Containers = append(p.API.Spec.Containers, c)
		}
		m := p.Mem.Container(name)
		m.ImageID, m.ImageSpec = "id", "img"
		if st == "" {
			continue
		}
		n := engine.Container{ID: name + "0", SandboxID: "sb", Started: t0.Add(-time.Minute), Created: t0.Add(time.Duration(i))}
		n.Config.Name = name
		n.Config.Annotations = map[string]string{AnnotationHash: SpecHash(&c)}
		n.State = st
		if _, err := fmt.Sscanf(st, "exited(%d)", &n.ExitCode); err == nil {
			n.State, n.Finished = engine.ContainerExited, t0.Add(-time.Second)
		}
		p.Put(n)
		if n.State == engine.ContainerRunning {
			adopt(m, &n)
		}
	}
	for _, f := range change {
		f(p)
	}
	return p
}

// text is a plan on one line: verbs with their container, grace and reason, then the next wake-up.
func text(pl Plan) string {
	var out []string
	for _, s := range pl.Steps {
		w := string(s.Do)
		if s.Container != "" {
			w += " " + s.Container
		}
		if s.Grace != 0 {
			w += " " + s.Grace.String()
		}
		if s.Do == BackOff || s.Do == Fail {
			w += " " + s.Reason.Reason
		}
		out = append(out, w)
	}
	if !pl.Wake.IsZero() {
		out = append(out, "wake +"+pl.Wake.Sub(t0).String())
	}
	return strings.Join(out, "; ")
}

func deleted(p *state.Pod) {
	p.API.DeletionTimestamp = &metav1.Time{Time: t0.Add(30 * time.Second)}
	grace := int64(30)
	p.API.DeletionGracePeriodSeconds = &grace
	p.Mem.KillStart = t0
}

func crashed(delay time.Duration, name string) func(*state.Pod) {
	return func(p *state.Pod) {
		p.Mem.Container(name).Crash = state.Retry{Delay: delay, Last: t0.Add(-time.Minute)}
	}
}

func hook(name string, task state.Task) func(*state.Pod) {
	return func(p *state.Pod) {
		c, _ := find(p.API, name)
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
		p.Mem.Container(name).PreStop = task
	}
}

func TestDecide(t *testing.T) {
	always, never, onFailure := corev1.RestartPolicyAlways, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure
	none := func(p *state.Pod) { p.Sandboxes = nil }
	cases := []struct {
		name   string
		p      *state.Pod
		golden string
	}{
		{"volumes come first", scene(always, "a", none, func(p *state.Pod) { p.Mem.Volumes = state.Idle }), "prepare-volumes"},
		{"volumes are being made", scene(always, "a", none, func(p *state.Pod) { p.Mem.Volumes = state.Running }), ""},
		{"then the sandbox", scene(always, "a", none), "create-sandbox"},
		{"it failed lately", scene(always, "a", none, func(p *state.Pod) {
			p.Mem.SandboxTry, p.Mem.Sandbox = t0, state.Retry{Delay: 10 * time.Second, Last: t0}
		}), "wake +10s"},
		{"image unknown", scene(always, "a", func(p *state.Pod) { p.Mem.Container("a").ImageID = "" }), "ensure-image a"},
		{"main containers start together", scene(always, "a b"), "start-container a; start-container b"},
		{"created before a crash of ours", scene(always, "a=created"), "start-container a"},
		{"all run", scene(always, "a=running b=running"), ""},
		{"the first init only", scene(always, "i:i1 i:i2 a"), "start-container i1"},
		{"the next init", scene(always, "i:i1=exited(0) i:i2 a"), "start-container i2"},
		{"init runs", scene(always, "i:i1=running a"), ""},
		{"init failed, again", scene(always, "i:i1=exited(1) a"), "start-container i1"},
		{"init failed for good", scene(never, "i:i1=exited(1) a"), "begin-kill; stop-sandbox"},
		{"sidecar before the rest", scene(always, "s:s1 i:i2 a"), "start-container s1"},
		{"sidecar started", scene(always, "s:s1=running i:i2 a"), "start-container i2"},
		{"sidecar not started yet", scene(always, "s:s1=running a", func(p *state.Pod) {
			p.API.Spec.InitContainers[0].StartupProbe = &corev1.Probe{}
		}), ""},
		{"sidecar died, mains go on", scene(always, "s:s1=exited(1) a=running"), "start-container s1"},
		{"crashed once", scene(always, "a=exited(1)"), "start-container a"},
		{"crashed twice", scene(always, "a=exited(1)", crashed(10*time.Second, "a")), "back-off a CrashLoopBackOff; wake +9s"},
		{"back-off over", scene(always, "a=exited(1)", crashed(time.Second, "a")), "start-container a"},
		{"long ago", scene(always, "a=exited(1)", crashed(5*time.Minute, "a"), func(p *state.Pod) { p.Mem.Container("a").Crash.Last = t0.Add(-time.Hour) }), "start-container a"},
		{"on failure, succeeded", scene(onFailure, "a=exited(0) b=running"), ""},
		{"on failure, failed", scene(onFailure, "a=exited(2) b=running"), "start-container a"},
		{"all done", scene(never, "a=exited(0) b=exited(1)"), "begin-kill; stop-sandbox"},
		{"all done, sidecar left", scene(never, "s:s1=running a=exited(0)"), "begin-kill; stop-container s1 30s; wake +30s"},
		{"image changed", scene(always, "a=running", func(p *state.Pod) { p.API.Spec.Containers[0].Image = "new" }), "stop-container a 30s"},
		{"liveness failed", scene(always, "a=running", func(p *state.Pod) {
			five := int64(5)
			m := p.Mem.Container("a")
			m.Kill, m.KillGrace, m.KillStart = &state.Reason{}, &five, t0
		}), "stop-container a 5s"},
		{"sandbox lost", scene(always, "a=running", func(p *state.Pod) { p.Sandboxes[0].State = engine.SandboxNotReady }),
			"stop-container a; stop-sandbox; create-sandbox"},
		{"sandbox lost, nothing to restart", scene(never, "a=exited(0)", func(p *state.Pod) { p.Sandboxes[0].State = engine.SandboxNotReady }), "begin-kill"},
		{"ephemeral", scene(always, "a=running e:debug"), "start-container debug"},
		{"ephemeral is not restarted", scene(always, "a=running e:debug=exited(1)"), ""},
		{"deleted: mains go together, sidecars later", scene(always, "s:s1=running s:s2=running a=running b=running", deleted),
			"stop-container a 30s; stop-container b 30s; wake +30s"},
		{"deleted: the last sidecar first", scene(always, "s:s1=running s:s2=running a=exited(0)", deleted), "stop-container s2 30s; wake +30s"},
		{"deleted: hook first", scene(always, "a=running", deleted, hook("a", state.Idle)), "pre-stop a; wake +30s"},
		{"deleted: hook runs", scene(always, "a=running", deleted, hook("a", state.Running)), "wake +30s"},
		{"deleted: hook done", scene(always, "a=running", deleted, hook("a", state.Done), func(p *state.Pod) { p.Now = t0.Add(5 * time.Second) }),
			"stop-container a 25s; wake +30s"},
		{"deleted: hook took it all", scene(always, "a=running", deleted, hook("a", state.Running), func(p *state.Pod) { p.Now = t0.Add(30 * time.Second) }),
			"stop-container a 2s"},
		{"deleted: signal sent", scene(always, "a=running", deleted, func(p *state.Pod) {
			m := p.Mem.Container("a")
			m.Stop, m.StopDeadline = state.Running, t0.Add(30*time.Second)
		}), "wake +30s"},
		{"deleted: less grace than before", scene(always, "a=running", deleted, func(p *state.Pod) {
			m := p.Mem.Container("a")
			m.Stop, m.StopDeadline = state.Running, t0.Add(time.Hour)
		}), "stop-container a 30s; wake +30s"},
		{"deleted: all ended", scene(always, "a=exited(0)", deleted), "stop-sandbox"},
		{"deleted: sandbox stopped", scene(always, "a=exited(0)", deleted, func(p *state.Pod) { p.Sandboxes[0].State = engine.SandboxNotReady }), "clean-up"},
		{"deleted: clean", scene(always, "a", deleted, none, func(p *state.Pod) { p.Mem.Cleaned = true }), "forget"},
		{"deleted: told the API", scene(always, "a", deleted, none, func(p *state.Pod) { p.Mem.Cleaned, p.Mem.Finalized = true, true }), ""},
		{"forced", scene(always, "a=running", func(p *state.Pod) { p.Gone, p.Mem.KillStart = true, t0 }), "stop-container a 2s"},
		{"refused", scene(always, "a", none, func(p *state.Pod) { p.Mem.Failed, p.Mem.KillStart = &state.Reason{Reason: "OutOfcpu"}, t0 }), ""},
		{"past its deadline", scene(always, "a=running", func(p *state.Pod) {
			ten := int64(10)
			p.API.Spec.ActiveDeadlineSeconds, p.Now = &ten, t0.Add(10*time.Second)
		}), "fail DeadlineExceeded"},
		{"before its deadline", scene(always, "a=running", func(p *state.Pod) {
			ten := int64(10)
			p.API.Spec.ActiveDeadlineSeconds = &ten
		}), "wake +10s"},
	}
	for _, tc := range cases {
		if d := cmp.Diff(tc.golden, text(Decide(tc.p))); d != "" {
			t.Errorf("%s:\n%s", tc.name, d)
		}
	}
}

func TestResize(t *testing.T) {
	limits := func(cpu, memory string) corev1.ResourceRequirements {
		l := corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
		return corev1.ResourceRequirements{Requests: l, Limits: l}
	}
	// a and b run with 100m and 64Mi each, as their sandbox says.
	sized := func(change func(a, b *corev1.Container)) *state.Pod {
		return scene(corev1.RestartPolicyAlways, "a=running b=running", func(p *state.Pod) {
			for i := range p.API.Spec.Containers {
				c := &p.API.Spec.Containers[i]
				c.Resources = limits("100m", "64Mi")
				p.Newest(c.Name).Config.Resources = spec.Container(p.API, c, 0)
			}
			p.Sandbox().Config.Resources = spec.Pod(p.API, 0)
			change(&p.API.Spec.Containers[0], &p.API.Spec.Containers[1])
		})
	}
	cases := []struct {
		name string
		p    *state.Pod
		want string
	}{
		{"nothing", sized(func(a, b *corev1.Container) {}), ""},
		{"up and down", sized(func(a, b *corev1.Container) { a.Resources, b.Resources = limits("200m", "64Mi"), limits("50m", "32Mi") }),
			"sb 25000 134217728, a 20000 67108864, b 5000 33554432"},
		{"down", sized(func(a, b *corev1.Container) { b.Resources = limits("50m", "32Mi") }), "b 5000 33554432"},
		{"by restart", sized(func(a, b *corev1.Container) {
			a.Resources = limits("100m", "128Mi")
			a.ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "memory", RestartPolicy: corev1.RestartContainer}}
		}), "sb 20000 201326592, a restart"},
		{"pod after its containers", func() *state.Pod {
			p := sized(func(a, b *corev1.Container) { b.Resources = limits("50m", "32Mi") })
			p.Newest("b").Config.Resources = spec.Container(p.API, &p.API.Spec.Containers[1], 0)
			return p
		}(), "sb 15000 100663296"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, s := range Decide(c.p).Steps {
				who, what := s.Container, "restart"
				if who == "" {
					who = s.ID
				}
				if s.Resources != nil {
					what = fmt.Sprint(s.Resources.CPUQuota, " ", s.Resources.MemoryLimit)
				}
				got = append(got, who+" "+what)
			}
			if d := cmp.Diff(c.want, strings.Join(got, ", ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRestartRules(t *testing.T) {
	rule := func(action corev1.ContainerRestartRuleAction, op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
		return corev1.ContainerRestartRule{Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes}}
	}
	p := scene(corev1.RestartPolicyNever, "a=exited(42)")
	p.API.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpIn, 42)}
	if got := text(Decide(p)); got != "start-container a" {
		t.Error(got)
	}
}
