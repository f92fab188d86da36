package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func sh(name, script string) corev1.Container {
	return corev1.Container{Name: name, Image: "busybox:1", Command: []string{"sh", "-c", script}}
}

func (w *world) delete(name string, grace int64) {
	w.Helper()
	if err := w.pods.Delete(context.Background(), "default", name, metav1.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) gone(name string) {
	w.Helper()
	w.until(name, "deleted", func(*corev1.Pod) bool {
		_, err := w.pods.Get(context.Background(), "default", name)
		return apierrors.IsNotFound(err)
	})
}

func (w *world) phase(name string, ph corev1.PodPhase) *corev1.Pod {
	w.Helper()
	return w.until(name, string(ph), func(p *corev1.Pod) bool { return p.Status.Phase == ph })
}

// reasons of the pod's events so far, once the last one is there.
func (w *world) reasons(name, last string) (out []string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	yes := true
	watch, err := w.conn.Watch(ctx, client.KindOf[*corev1.Event](w.conn.reg), "default", metav1.ListOptions{SendInitialEvents: &yes})
	if err != nil {
		w.Fatal(err)
	}
	defer watch.Close()
	for {
		evs, err := watch.Next()
		if err != nil {
			w.Fatalf("no event %s; have %v", last, out)
		}
		for _, ev := range evs {
			e := ev.Object.(*corev1.Event)
			if ev.Type == client.Bookmark || e.InvolvedObject.Name != name {
				continue
			}
			out = append(out, e.Reason)
			if e.Reason == last {
				return out
			}
		}
	}
}

func TestInitThenSidecarThenMain(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	always := corev1.ContainerRestartPolicyAlways
	side := corev1.Container{Name: "side", Image: "side:1", RestartPolicy: &always}
	p.Spec.InitContainers = []corev1.Container{sh("first", "exit 0"), side, sh("second", "true")}
	w.create(p)
	got := w.running("a")
	var order []string
	l, _ := w.eng.ListContainers(t.Context(), engine.Filter{})
	slices.SortFunc(l, func(a, b engine.Container) int { return a.Created.Compare(b.Created) })
	for _, c := range l {
		order = append(order, c.Config.Name)
	}
	if d := cmp.Diff([]string{"first", "side", "second", "app"}, order); d != "" {
		t.Error(d)
	}
	for i, want := range []string{"Completed", "", "Completed"} {
		s := got.Status.InitContainerStatuses[i]
		if want == "" && (s.State.Running == nil || !*s.Started) || want != "" && (s.State.Terminated == nil || s.State.Terminated.Reason != want) {
			t.Errorf("%s: %+v", s.Name, s.State)
		}
	}
	w.delete("a", 30)
	w.gone("a")
}

func TestJobLikePodsEnd(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		script string
		want   corev1.PodPhase
	}{"good": {"echo hi; exit 0", corev1.PodSucceeded}, "bad": {"exit 3", corev1.PodFailed}} {
		p := web(name)
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Containers = []corev1.Container{sh("c", tc.script)}
		p.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
		w.create(p)
		got := w.phase(name, tc.want)
		if s := got.Status.ContainerStatuses[0]; s.State.Terminated == nil || s.RestartCount != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	w.delete("good", 30)
	w.gone("good")
	for len(w.logDirs()) != 1 { // the bad one's stays
		runtime.Gosched()
	}
}

func (w *world) logDirs() []os.DirEntry {
	l, _ := os.ReadDir(filepath.Join(w.dir, "logs"))
	return l
}

func TestCrashLoopBacksOff(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	p.Spec.Containers = []corev1.Container{sh("c", "exit 1")}
	w.create(p)
	got := w.until("a", "backing off", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CrashLoopBackOff"
	})
	s := got.Status.ContainerStatuses[0]
	if s.RestartCount != 1 || s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.ExitCode != 1 ||
		!strings.HasPrefix(s.State.Waiting.Message, "back-off 10s restarting failed container=c pod=a_default(") || got.Status.Phase != corev1.PodRunning {
		t.Errorf("%s %+v", got.Status.Phase, s)
	}
	w.delete("a", 30)
	w.gone("a")
}

func TestContainerRestarts(t *testing.T) {
	w := newWorld(t)
	w.create(web("a"))
	first := w.running("a").Status.ContainerStatuses[0].ContainerID
	w.eng.OOM(strings.TrimPrefix(first, "dhow://"))
	got := w.until("a", "restarted", func(p *corev1.Pod) bool {
		return p.Status.ContainerStatuses[0].RestartCount == 1 && p.Status.ContainerStatuses[0].State.Running != nil
	})
	if lt := got.Status.ContainerStatuses[0].LastTerminationState.Terminated; lt == nil || lt.Reason != "OOMKilled" || lt.ExitCode != 137 || lt.ContainerID != first {
		t.Errorf("last state: %+v", lt)
	}
}

func TestDaemonRestartRestartsNothing(t *testing.T) {
	w := newWorld(t)
	w.create(web("a"))
	w.create(web("b"))
	before := w.running("a").Status.ContainerStatuses[0].ContainerID
	w.running("b")
	w.stop()
	if err := w.pods.Delete(t.Context(), "default", "b", metav1.DeleteOptions{}); err != nil { // forgotten while we were away
		t.Fatal(err)
	}
	w.boot()
	w.create(web("c"))
	w.running("c")
	got := w.running("a")
	if s := got.Status.ContainerStatuses[0]; s.ContainerID != before || s.RestartCount != 0 {
		t.Errorf("restarted: %+v", s)
	}
	events, err := w.eng.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, _ := w.eng.ListSandboxes(t.Context(), engine.Filter{Labels: map[string]string{"io.kubernetes.pod.name": "b"}})
		if len(l) == 0 {
			break
		}
		<-events
	}
}

func TestSandboxLossMakesAnother(t *testing.T) {
	w := newWorld(t)
	w.create(web("a"))
	was := w.running("a")
	l, _ := w.eng.ListSandboxes(t.Context(), engine.Filter{})
	w.eng.LoseSandbox(l[0].ID)
	got := w.until("a", "in a new sandbox", func(p *corev1.Pod) bool {
		return p.Status.PodIP != was.Status.PodIP && p.Status.ContainerStatuses[0].State.Running != nil
	})
	if got.Status.ContainerStatuses[0].RestartCount != 1 {
		t.Errorf("%+v", got.Status.ContainerStatuses[0])
	}
}

func TestPullTroubles(t *testing.T) {
	w := newWorld(t)
	w.eng.PullError = func(ref string) error {
		if strings.HasPrefix(ref, "bad") {
			return fault.New(fault.NotFound, "manifest unknown")
		}
		return nil
	}
	for image, tc := range map[string]struct {
		policy corev1.PullPolicy
		want   string
	}{"bad:1": {"", "ErrImagePull"}, "never:1": {corev1.PullNever, "ErrImageNeverPull"}, "No:1": {"", "InvalidImageName"}} {
		p := web(strings.ToLower(image[:2]))
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = image, tc.policy
		w.create(p)
		w.until(p.Name, tc.want, func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == tc.want
		})
	}
	w.until("ba", "ImagePullBackOff", func(p *corev1.Pod) bool {
		return p.Status.ContainerStatuses[0].State.Waiting.Reason == "ImagePullBackOff"
	})
	w.delete("ba", 30)
	w.gone("ba")
}

func TestConfigArrivesLater(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "late"}, Key: "x"}}}}
	p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "later"}}}}
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	w.create(p)
	w.reasons("a", "FailedMount")
	if _, err := client.For[*corev1.Secret](w.conn).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "later"}, Data: map[string][]byte{"k": []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	w.until("a", "CreateContainerConfigError", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CreateContainerConfigError"
	})
	maps := client.For[*corev1.ConfigMap](w.conn)
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "late"}, Data: map[string]string{"x": "1"}}); err != nil {
		t.Fatal(err)
	}
	w.running("a")
	l, _ := w.eng.ListContainers(t.Context(), engine.Filter{})
	if !slices.Contains(l[0].Config.Env, "X=1") || !slices.ContainsFunc(l[0].Config.Mounts, func(m engine.Mount) bool { return m.Target == "/v" && m.ReadOnly }) {
		t.Errorf("%+v", l[0].Config)
	}
}

func TestRefusedPods(t *testing.T) {
	w := newWorld(t)
	big := web("big")
	big.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000")}
	picky := web("picky")
	picky.Spec.NodeSelector = map[string]string{"disk": "gold"}
	confined, profile := web("confined"), "mine" // the fake engine's kernel has no AppArmor
	confined.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &profile}}
	for want, p := range map[string]*corev1.Pod{"OutOfcpu": big, "NodeAffinity": picky, "AppArmor": confined} {
		w.create(p)
		got := w.phase(p.Name, corev1.PodFailed)
		if got.Status.Reason != want || !strings.HasPrefix(got.Status.Message, "Pod was rejected: ") {
			t.Errorf("%s: %q %q", p.Name, got.Status.Reason, got.Status.Message)
		}
		w.delete(p.Name, 0)
	}
}

func TestProbesAndHooks(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	c := &p.Spec.Containers[0]
	probe := func(cmd ...string) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: cmd}}, PeriodSeconds: 1, FailureThreshold: 1}
	}
	flag := filepath.Join(t.TempDir(), "ready")
	c.StartupProbe, c.ReadinessProbe = probe("true"), probe("cat", flag)
	c.Lifecycle = &corev1.Lifecycle{
		PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}},
		PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", "0.05"}}},
	}
	w.create(p)
	got := w.until("a", "started", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodRunning && p.Status.ContainerStatuses[0].Started != nil && *p.Status.ContainerStatuses[0].Started
	})
	if got.Status.ContainerStatuses[0].Ready {
		t.Error("ready before its probe said so")
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.running("a")
	w.delete("a", 30)
	w.gone("a")

	sick := web("sick")
	sick.Spec.Containers[0].LivenessProbe = probe("false")
	w.create(sick)
	w.until("sick", "restarted", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount > 0
	})
	w.reasons("sick", "Unhealthy")
	w.reasons("sick", "Killing")
}

func TestGraceEndsInKill(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	p.Spec.Containers[0].Command = []string{"server", "trap"}
	w.create(p)
	w.running("a")
	w.delete("a", 3600)
	w.reasons("a", "Killing")
	w.delete("a", 1) // the client lost patience: two seconds are left to everybody
	w.gone("a")
}

func TestForcedDeletion(t *testing.T) {
	w := newWorld(t)
	w.create(web("a"))
	w.running("a")
	events, err := w.eng.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.delete("a", 0)
	for ev := range events {
		if ev.Type == engine.SandboxRemoved {
			break
		}
	}
}

func TestAPIAwayHoldsUpNoContainer(t *testing.T) {
	w := newWorld(t)
	events, err := w.eng.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.conn.down.Store(true)
	w.create(web("a"))
	for ev := range events {
		if ev.Type == engine.ContainerStarted {
			break
		}
	}
	w.conn.down.Store(false)
	w.running("a")
}

func TestDeadline(t *testing.T) {
	w := newWorld(t)
	p := web("a")
	one := int64(1)
	p.Spec.ActiveDeadlineSeconds = &one
	w.create(p)
	if got := w.phase("a", corev1.PodFailed); got.Status.Reason != "DeadlineExceeded" {
		t.Errorf("%s", show(got))
	}
}

func TestNodeObjectAndLease(t *testing.T) {
	w := newWorld(t)
	<-w.node.self.ready
	n, err := client.For[*corev1.Node](w.conn).Get(t.Context(), "", "n1")
	if err != nil {
		t.Fatal(err)
	}
	if n.Labels[corev1.LabelHostname] != "n1" || n.Status.Capacity.Pods().Value() != 110 || n.Status.NodeInfo.KubeletVersion != "v1.36.3+dhow" {
		t.Errorf("%+v", n)
	}
	if c := n.Status.Conditions[3]; c.Type != corev1.NodeReady || c.Status != corev1.ConditionTrue {
		t.Errorf("%+v", c)
	}
}

// An image that was built here runs under the policy Always, which kubectl gives to every "latest": our own registry has it. One that
// came from elsewhere is asked for again.
func TestAlwaysWithOurOwnImage(t *testing.T) {
	w := newWorld(t)
	w.eng.AddImage(engine.Image{Tags: []string{"built:latest"}, Digests: []string{}})
	w.eng.AddImage(engine.Image{Tags: []string{"pulled:latest"}})
	w.eng.PullError = func(string) error { return errors.New("no registry answers") }
	for _, name := range []string{"built", "pulled"} {
		p := web(name)
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = name+":latest", corev1.PullAlways
		w.create(p)
	}
	w.running("built")
	w.until("pulled", "waiting for its image", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "ErrImagePull"
	})
}
