// Package pod lives one pod's life: Plan decides (pure), the steps do, a
// Worker repeats both whenever something about the pod changed.
//
// It drives engine.Engine and knows nothing of HTTP, nodes or other pods. Read
// plan.go first, then steps.go (the order), then worker.go.
package pod

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// Verb is what a step does. steps.go lists them in their order.
type Verb string

// Step is one thing to do. Only the fields its verb needs are set.
type Step struct {
	Do        Verb
	Container string // name in the spec
	ID        string // engine id of a container or sandbox
	Grace     time.Duration
	Deadline  time.Time
	Reason    state.Reason
	Resources *engine.Resources
}

// Plan is what to do now, and when to ask again if nothing happens before (zero: never).
type Plan struct {
	Steps []Step
	Wake  time.Time
}

func (p *Plan) add(s ...Step) { p.Steps = append(p.Steps, s...) }

// wakeAt asks to be called at t.
func (p *Plan) wakeAt(t time.Time) {
	if !t.IsZero() && (p.Wake.IsZero() || t.Before(p.Wake)) {
		p.Wake = t
	}
}

// Decide turns everything known about a pod into the next steps. It is pure: equal inputs give equal plans.
//
//	refused or past its deadline ─┐
//	deleted in the API ───────────┼─► end: stop containers ► sandbox ► (deleted: clean up ► forget)
//	all containers finished ──────┘
//	else: volumes ► sandbox ► init containers in order ► main and ephemeral containers
func Decide(p *state.Pod) Plan {
	var plan Plan
	switch {
	case Ending(p):
		end(p, &plan)
	case Finished(p):
		finish(p, &plan)
	default:
		live(p, &plan)
	}
	return plan
}

// Ending reports whether the whole pod must go, whatever its containers do.
func Ending(p *state.Pod) bool {
	return p.Gone || p.API.DeletionTimestamp != nil || p.Mem.Failed != nil || terminalPhase(p.API.Status.Phase)
}

func terminalPhase(ph corev1.PodPhase) bool {
	return ph == corev1.PodSucceeded || ph == corev1.PodFailed
}

// Finished reports whether every main container has ended for good, or an init container has failed for good.
func Finished(p *state.Pod) bool {
	if InitFailed(p) {
		return true
	}
	for i := range p.API.Spec.Containers {
		c := &p.API.Spec.Containers[i]
		n := p.Newest(c.Name)
		if n == nil || n.State != engine.ContainerExited || state.Restarts(p.API, c, n, false) {
			return false
		}
	}
	return true
}

// InitFailed reports whether a plain init container failed and will not be tried again.
func InitFailed(p *state.Pod) bool {
	for i := range p.API.Spec.InitContainers {
		c := &p.API.Spec.InitContainers[i]
		if state.Sidecar(c) {
			continue
		}
		n := p.Newest(c.Name)
		if n != nil && n.State == engine.ContainerExited && n.ExitCode != 0 && !state.Restarts(p.API, c, n, true) {
			return true
		}
	}
	return false
}

// live drives a pod that should run.
func live(p *state.Pod, plan *Plan) {
	if d := p.API.Spec.ActiveDeadlineSeconds; d != nil && !p.Mem.StartTime.IsZero() {
		end := p.Mem.StartTime.Add(time.Duration(*d) * time.Second)
		if !p.Now.Before(end) {
			plan.add(Step{Do: Fail, Reason: state.Reason{Reason: "DeadlineExceeded", Message: "Pod was active on the node longer than the specified deadline"}})
			return
		}
		plan.wakeAt(end)
	}
	if p.Mem.Volumes != state.Done {
		if p.Mem.Volumes == state.Idle && p.Now.Before(p.Mem.VolumesRetry) {
			plan.wakeAt(p.Mem.VolumesRetry)
		} else if p.Mem.Volumes == state.Idle {
			plan.add(Step{Do: PrepareVolumes})
		}
		return
	}
	s := p.Sandbox()
	if s == nil || s.State != engine.SandboxReady {
		if s != nil { // its namespaces are lost: nothing in it can be saved
			for _, c := range containersOf(p, s.ID) {
				if state.Live(&c) {
					plan.add(Step{Do: StopContainer, Container: c.Config.Name, ID: c.ID,
						Reason: state.Reason{Reason: "Killing", Message: "Pod sandbox changed, it will be killed and re-created."}})
				}
			}
			plan.add(Step{Do: StopSandbox, ID: s.ID})
		}
		if p.Mem.Making == state.Running {
			return
		}
		if t := p.Mem.Sandbox.Until(p.Mem.SandboxTry, p.Now); !t.IsZero() {
			plan.wakeAt(t)
			return
		}
		plan.add(Step{Do: CreateSandbox})
		return
	}
	resize(p, plan)
	if initContainers(p, plan) {
		for i := range p.API.Spec.Containers {
			c := &p.API.Spec.Containers[i]
			one(p, plan, c, false)
			if m := p.Mem.Containers[c.Name]; m != nil && m.PostStart == state.Running {
				break // the next one starts after this one's hook
			}
		}
	}
	ephemeral(p, plan)
	prune(p, plan)
}

// Initialized reports whether a main container was ever made in the newest sandbox: init containers do not run again.
func Initialized(p *state.Pod) bool {
	for i := range p.API.Spec.Containers {
		if p.Here(p.Newest(p.API.Spec.Containers[i].Name)) {
			return true
		}
	}
	return false
}

// initContainers advances the init containers and reports whether main containers may run.
func initContainers(p *state.Pod, plan *Plan) bool {
	inits := p.API.Spec.InitContainers
	if Initialized(p) {
		for i := range inits {
			if state.Sidecar(&inits[i]) {
				one(p, plan, &inits[i], true)
			}
		}
		return true
	}
	for i := range inits {
		c := &inits[i]
		n := p.Newest(c.Name)
		if !p.Here(n) {
			n = nil
		}
		switch {
		case state.Sidecar(c):
			one(p, plan, c, true)
			if !Started(p, c, n) {
				return false
			}
		case n != nil && n.State == engine.ContainerExited && n.ExitCode == 0:
		case n == nil && laterRan(p, inits[i+1:]):
			// it was cleaned away, but what follows it has run
		default:
			one(p, plan, c, true)
			return false
		}
	}
	return true
}

func laterRan(p *state.Pod, inits []corev1.Container) bool {
	for i := range inits {
		if p.Here(p.Newest(inits[i].Name)) {
			return true
		}
	}
	return false
}

// Started reports whether c counts as started: running, its post-start hook done and its start-up probe passed.
func Started(p *state.Pod, c *corev1.Container, n *engine.Container) bool {
	if n == nil || n.State != engine.ContainerRunning {
		return false
	}
	m := p.Mem.Containers[c.Name]
	if m == nil || m.ID != n.ID {
		return false
	}
	if m.PostStart != state.Done {
		return false
	}
	return c.StartupProbe == nil || m.Startup == state.Success
}

// ephemeral starts ephemeral containers once; they are never restarted.
func ephemeral(p *state.Pod, plan *Plan) {
	for i := range p.API.Spec.EphemeralContainers {
		c := state.Ephemeral(&p.API.Spec.EphemeralContainers[i])
		if n := p.Newest(c.Name); n == nil || n.State == engine.ContainerCreated {
			start(p, plan, c, n)
		}
	}
}

// prune removes all but the newest dead attempt, whose log --previous shows, and the dead one before a live one.
func prune(p *state.Pod, plan *Plan) {
	for name, l := range p.Engine {
		for i := 0; i < len(l)-2; i++ {
			if l[i].State == engine.ContainerExited {
				plan.add(Step{Do: RemoveContainer, Container: name, ID: l[i].ID})
			}
		}
	}
}

func containersOf(p *state.Pod, sandbox string) (out []engine.Container) {
	each(p, func(_ *corev1.Container, _ kind) {}, func(n *engine.Container) {
		if n.SandboxID == sandbox {
			out = append(out, *n)
		}
	})
	return out
}
