// Package probe runs start-up, readiness and liveness probes of running
// containers and reports verdicts that changed.
//
// A waiting probe is one timer and no goroutine. How a single check is made is in
// check.go; thresholds are in run.go, which is pure but for its timer.
package probe

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/node/state"
)

// Manager runs the probes of all containers. Use New. It implements pod.Probes.
type Manager struct {
	ctx    context.Context
	wg     *sync.WaitGroup
	check  func(ctx context.Context, t *pod.ProbeTarget, p *corev1.Probe) (ok bool, output string)
	events pod.Recorder

	mu      sync.Mutex
	targets map[string]*target
}

// New makes a Manager. check performs one probe within ctx; goroutines are counted by wg.
func New(ctx context.Context, wg *sync.WaitGroup, events pod.Recorder, check func(context.Context, *pod.ProbeTarget, *corev1.Probe) (bool, string)) *Manager {
	return &Manager{ctx: ctx, wg: wg, check: check, events: events, targets: map[string]*target{}}
}

// target is one container with its probes.
type target struct {
	m      *Manager
	t      pod.ProbeTarget
	report func(pod.ProbeResult)

	mu      sync.Mutex
	ended   bool
	started bool
	runs    []*run
}

// Watch implements pod.Probes.
func (m *Manager) Watch(t pod.ProbeTarget, report func(pod.ProbeResult)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.targets[t.ID] != nil {
		return
	}
	tg := &target{m: m, t: t, report: report}
	m.targets[t.ID] = tg
	tg.mu.Lock()
	defer tg.mu.Unlock()
	if t.Spec.StartupProbe == nil || t.WasStarted {
		tg.begin()
		return
	}
	tg.add(pod.Startup, t.Spec.StartupProbe)
}

// begin starts readiness and liveness once the container counts as started; tg.mu is held.
func (tg *target) begin() {
	tg.started = true
	if p := tg.t.Spec.ReadinessProbe; p != nil {
		tg.add(pod.Readiness, p)
	}
	if p := tg.t.Spec.LivenessProbe; p != nil {
		tg.add(pod.Liveness, p)
	}
}

func (tg *target) add(kind string, p *corev1.Probe) {
	r := newRun(kind, p)
	if kind == pod.Readiness && tg.t.WasReady {
		r.verdict, r.met = success, true
	}
	tg.runs = append(tg.runs, r)
	now := time.Now()
	r.timer = time.AfterFunc(r.begin(tg.t.Started, now).Sub(now), func() { tg.fire(r) })
}

// Forget implements pod.Probes.
func (m *Manager) Forget(id string) {
	m.mu.Lock()
	tg := m.targets[id]
	delete(m.targets, id)
	m.mu.Unlock()
	if tg == nil {
		return
	}
	tg.mu.Lock()
	defer tg.mu.Unlock()
	tg.ended = true
	for _, r := range tg.runs {
		r.timer.Stop()
	}
}

// fire makes one check and sets the timer for the next.
func (tg *target) fire(r *run) {
	tg.mu.Lock()
	if tg.ended || tg.m.ctx.Err() != nil {
		tg.mu.Unlock()
		return
	}
	tg.m.wg.Add(1)
	tg.mu.Unlock()
	defer tg.m.wg.Done()

	at := time.Now()
	ctx, cancel := context.WithTimeout(tg.m.ctx, r.timeout())
	ok, output := tg.m.check(ctx, &tg.t, r.p)
	cancel()

	tg.mu.Lock()
	if tg.ended || tg.m.ctx.Err() != nil {
		tg.mu.Unlock()
		return
	}
	counts := r.counts(at)
	if !ok && counts {
		tg.m.events.Event(tg.t.Pod, tg.t.Spec.Name, "Warning", "Unhealthy", r.kind+" probe failed: "+output)
	}
	changed := (ok || counts) && r.see(ok)
	result := pod.ProbeResult{ID: tg.t.ID, Kind: r.kind, Verdict: r.state(), Grace: r.p.TerminationGracePeriodSeconds}
	tg.mu.Unlock()
	if changed { // before the next check can begin: verdicts arrive in their order
		tg.report(result)
	}
	tg.mu.Lock()
	defer tg.mu.Unlock()
	switch {
	case tg.ended:
	case r.kind == pod.Startup && result.Verdict == state.Success:
		tg.begin()
	default:
		now := time.Now()
		r.timer = time.AfterFunc(r.next(ok, at, now).Sub(now), func() { tg.fire(r) })
	}
}
