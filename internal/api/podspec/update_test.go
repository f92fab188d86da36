package podspec

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func basePod() *corev1.Pod {
	grace, deadline := int64(30), int64(60)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "c", Image: "a", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")}}}},
			InitContainers:                []corev1.Container{{Name: "i", Image: "a"}},
			Tolerations:                   []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
			TerminationGracePeriodSeconds: &grace, ActiveDeadlineSeconds: &deadline,
		},
	}
}

func gated(p *corev1.Pod) *corev1.Pod {
	p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "a"}, {Name: "b"}}
	p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	return p
}

// TestUpdate: what of a pod may change, and what is said of the rest.
func TestUpdate(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	const others = "pod updates may not change fields other than"
	for name, c := range map[string]struct {
		old    *corev1.Pod
		change func(*corev1.Pod)
		want   string // part of the error; empty: allowed
	}{
		"nothing":          {basePod(), func(*corev1.Pod) {}, ""},
		"image":            {basePod(), func(p *corev1.Pod) { p.Spec.Containers[0].Image = "b" }, ""},
		"init image":       {basePod(), func(p *corev1.Pod) { p.Spec.InitContainers[0].Image = "b" }, ""},
		"shorter deadline": {basePod(), func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = seconds(5) }, ""},
		"longer deadline":  {basePod(), func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = seconds(100) }, "must be less than or equal to previous value"},
		"no deadline":      {basePod(), func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = nil }, "must not update from a positive integer to nil value"},
		"toleration added": {basePod(), func(p *corev1.Pod) {
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
		}, ""},
		"toleration shorter": {basePod(), func(p *corev1.Pod) { p.Spec.Tolerations[0].TolerationSeconds = seconds(3) }, ""},
		"toleration removed": {basePod(), func(p *corev1.Pod) { p.Spec.Tolerations = nil }, "existing toleration can not be modified except its tolerationSeconds"},
		"grace":              {basePod(), func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = seconds(1) }, others},
		"command":            {basePod(), func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"x"} }, others},
		"node":               {basePod(), func(p *corev1.Pod) { p.Spec.NodeName = "n" }, others},
		"resources":          {basePod(), func(p *corev1.Pod) { p.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }, others},
		"container added":    {basePod(), func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{}) }, "pod updates may not add or remove containers"},
		"gate removed":       {gated(basePod()), func(p *corev1.Pod) { p.Spec.SchedulingGates = p.Spec.SchedulingGates[1:] }, ""},
		"gate added":         {gated(basePod()), func(p *corev1.Pod) { p.Spec.SchedulingGates[0].Name = "c" }, "only deletion is allowed, but found new scheduling gate 'c'"},
		"selector narrower":  {gated(basePod()), func(p *corev1.Pod) { p.Spec.NodeSelector["zone"] = "a" }, ""},
		"selector wider":     {gated(basePod()), func(p *corev1.Pod) { p.Spec.NodeSelector = nil }, "only additions to spec.nodeSelector are allowed"},
		"selector ungated":   {basePod(), func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"zone": "a"} }, others},
		"affinity gated": {gated(basePod()), func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{}}}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) { expect(t, c.old, c.change, c.want, Update) })
	}
}

func TestResize(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"cpu":     {func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("2") }, ""},
		"removed": {func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Requests, "cpu") }, "resource requests cannot be removed"},
		"storage": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["ephemeral-storage"] = resource.MustParse("2")
		}, "only cpu and memory resources are mutable"},
		"init": {func(p *corev1.Pod) {
			p.Spec.InitContainers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("2")}
		}, "resources for non-sidecar init containers are immutable"},
		"class": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = p.Spec.Containers[0].Resources.Requests
			p.Spec.InitContainers[0].Resources = p.Spec.Containers[0].Resources
		}, "Pod QOS Class may not change as a result of resizing"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, basePod(), c.change, c.want, Resize) })
	}
}

func expect[E ~[]X, X error](t *testing.T, old *corev1.Pod, change func(*corev1.Pod), want string, check func(pod, old *corev1.Pod) E) {
	t.Helper()
	pod, before := old.DeepCopy(), old.DeepCopy()
	change(pod)
	var said []string
	for _, e := range check(pod, old) {
		said = append(said, e.Error())
	}
	got := strings.Join(said, "\n")
	if (want == "") != (got == "") || !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if before.String() != old.String() {
		t.Error("the old pod was changed")
	}
}

func TestQOS(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{}
		if cpu != "" {
			l["cpu"] = resource.MustParse(cpu)
		}
		if memory != "" {
			l["memory"] = resource.MustParse(memory)
		}
		return l
	}
	for _, c := range []struct {
		requests, limits corev1.ResourceList
		want             corev1.PodQOSClass
	}{
		{nil, nil, corev1.PodQOSBestEffort},
		{list("0", ""), nil, corev1.PodQOSBestEffort},
		{list("1", ""), nil, corev1.PodQOSBurstable},
		{list("1", "1Gi"), list("1", "1Gi"), corev1.PodQOSGuaranteed},
		{list("1", "1Gi"), list("2", "1Gi"), corev1.PodQOSBurstable},
		{list("1", ""), list("1", ""), corev1.PodQOSBurstable},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}}}}}
		if got := QOS(p); got != c.want {
			t.Errorf("%v %v: %s, want %s", c.requests, c.limits, got, c.want)
		}
	}
}
