package pod

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
)

// end takes a whole pod down and, when the API deleted it, makes it forgotten.
func end(p *state.Pod, plan *Plan) {
	begin := p.Mem.KillStart
	if begin.IsZero() {
		begin = p.Now
		plan.add(Step{Do: BeginKill})
	}
	grace := time.Duration(state.GracePeriod(p.API)) * time.Second
	if p.Gone {
		grace = 0
	}
	if f := p.Mem.Failed; f != nil && f.Reason == "Evicted" {
		grace = min(grace, MinimumGrace)
	}
	if stopAll(p, plan, begin.Add(grace)) {
		return
	}
	release(p, plan)
	if len(plan.Steps) == 0 && (p.Gone || p.API.DeletionTimestamp != nil) {
		switch {
		case !p.Mem.Cleaned:
			plan.add(Step{Do: CleanUp})
		case !p.Gone && !p.Mem.Finalized:
			plan.add(Step{Do: Forget})
		}
	}
}

// finish ends a pod whose containers came to their end: sidecars go, then the sandbox gives back its address.
func finish(p *state.Pod, plan *Plan) {
	begin := p.Mem.KillStart
	if begin.IsZero() {
		begin = p.Now
		plan.add(Step{Do: BeginKill})
	}
	if !stopAll(p, plan, begin.Add(time.Duration(state.GracePeriod(p.API))*time.Second)) {
		release(p, plan)
	}
}

// release gives back what a pod without running containers holds; its logs stay.
func release(p *state.Pod, plan *Plan) {
	for i := range p.Sandboxes {
		if s := &p.Sandboxes[i]; s.State == engine.SandboxReady {
			plan.add(Step{Do: StopSandbox, ID: s.ID})
		}
	}
}

// stopAll stops what runs and reports whether anything still does. Main containers go together; then sidecars, the
// last one first, each when those after it are gone (KEP-753).
func stopAll(p *state.Pod, plan *Plan, deadline time.Time) bool {
	left := p.Mem.Making == state.Running || p.Mem.Volumes == state.Running
	kill := func(c *corev1.Container, turn bool) {
		n := p.Newest(c.Name)
		if n == nil || n.State != engine.ContainerRunning {
			if m := p.Mem.Containers[c.Name]; m != nil && m.Start == state.Running {
				left = true
			}
			return
		}
		left = true
		stop(p, plan, c, n, deadline, state.Reason{Reason: "Killing", Message: fmt.Sprintf("Stopping container %s", c.Name)}, turn)
	}
	for i := range p.API.Spec.Containers {
		kill(&p.API.Spec.Containers[i], true)
	}
	for i := range p.API.Spec.EphemeralContainers {
		kill(state.Ephemeral(&p.API.Spec.EphemeralContainers[i]), true)
	}
	inits := p.API.Spec.InitContainers
	for i := len(inits) - 1; i >= 0; i-- {
		kill(&inits[i], !state.Sidecar(&inits[i]) || !left)
	}
	if left {
		plan.wakeAt(laterThan(deadline, p.Now))
	}
	return left
}

func laterThan(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}
