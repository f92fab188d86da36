package pod

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/node/status"
)

// Worker lives one pod's life. Between changes it has no goroutine: a change
// starts one, which repeats decide-and-do until there is nothing left, then ends.
//
//	idle ──poke──► busy: inbox ► Decide ► steps ► (again while there were steps) ► status ► idle
type Worker struct {
	deps *Deps
	ctx  context.Context // ends with the node
	wg   *sync.WaitGroup
	log  *slog.Logger
	out  *writer

	mu    sync.Mutex
	busy  bool
	inbox []func(*state.Pod)
	stale map[string]bool // engine containers to look at again
	timer *time.Timer
	done  bool
	// what others may see of the pod
	shown        []engine.Container
	shownSandbox engine.Sandbox

	// the rest belongs to the busy goroutine
	st     state.Pod
	last   corev1.PodStatus
	probed map[string]bool
	ended  func()
}

// NewWorker makes the worker of one pod. sandboxes and containers are what the engine already has of it. wg counts its
// goroutines; ended is called once when nothing of the pod is left.
func NewWorker(ctx context.Context, wg *sync.WaitGroup, d *Deps, pod *corev1.Pod, sandboxes []engine.Sandbox, containers []engine.Container, ended func()) *Worker {
	w := &Worker{deps: d, ctx: ctx, wg: wg, ended: ended, probed: map[string]bool{},
		log: d.Log.With("pod", pod.Namespace+"/"+pod.Name, "uid", pod.UID)}
	w.st.API = pod
	w.last = pod.Status
	w.out = newWriter(w, pod)
	for _, s := range sandboxes {
		w.st.PutSandbox(s)
	}
	for _, c := range containers {
		w.st.Put(c)
		if c.State == engine.ContainerRunning {
			adopt(w.st.Mem.Container(c.Config.Name), &c)
		}
	}
	if t := pod.Status.StartTime; t != nil {
		w.st.Mem.StartTime = t.Time
	}
	return w
}

// Update tells of a newer version of the pod.
func (w *Worker) Update(pod *corev1.Pod) {
	w.Post(func(st *state.Pod) {
		if newer(pod, st.API) {
			before := st.API
			st.API = pod
			if changedMeta(before, pod) {
				w.deps.Volumes.Update(pod)
			}
		}
	})
}

// Gone tells that the API has the pod no more.
func (w *Worker) Gone() { w.Post(func(st *state.Pod) { st.Gone = true }) }

// Reject refuses the pod, or ends it: its phase becomes Failed.
func (w *Worker) Reject(reason, message string) {
	w.Post(func(st *state.Pod) {
		if st.Mem.Failed == nil {
			st.Mem.Failed = &state.Reason{Reason: reason, Message: message}
		}
	})
}

// Admit records that the node takes the pod.
func (w *Worker) Admit(now time.Time) {
	w.Post(func(st *state.Pod) {
		if st.Mem.StartTime.IsZero() {
			st.Mem.StartTime = now.Truncate(time.Second)
		}
	})
}

// Touch tells that something happened to an engine container of the pod.
func (w *Worker) Touch(id string) {
	w.mu.Lock()
	if w.stale == nil {
		w.stale = map[string]bool{}
	}
	w.stale[id] = true
	w.mu.Unlock()
	w.Post(nil)
}

// TouchSandbox tells that something happened to a sandbox of the pod.
func (w *Worker) TouchSandbox(id string) {
	w.Post(func(st *state.Pod) {
		s, err := w.deps.Engine.Sandbox(w.ctx, id)
		if err != nil {
			s = engine.Sandbox{ID: id}
		}
		for i := range st.Sandboxes {
			if st.Sandboxes[i].ID != id {
				continue
			}
			if err != nil {
				st.Sandboxes[i].State, st.Sandboxes[i].IPs = engine.SandboxNotReady, nil
			} else {
				st.Sandboxes[i] = s
			}
		}
	})
}

// TouchAll makes the worker look at everything again.
func (w *Worker) TouchAll() {
	w.Post(func(st *state.Pod) {
		for _, l := range st.Engine {
			for i := range l {
				w.Touch(l[i].ID)
			}
		}
		for i := range st.Sandboxes {
			w.TouchSandbox(st.Sandboxes[i].ID)
		}
	})
}

// Retry forgets waits that a change outside may have made pointless: a missing ConfigMap that is there now.
func (w *Worker) Retry() {
	w.Post(func(st *state.Pod) {
		for _, m := range st.Mem.Containers {
			if m.Waiting != nil && m.Waiting.Reason == ConfigError {
				m.NotTill = time.Time{}
			}
		}
		if st.Mem.VolumesError != nil {
			st.Mem.VolumesRetry = time.Time{}
		}
	})
}

// Post runs f on the worker's state, then decides again.
func (w *Worker) Post(f func(*state.Pod)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done || w.ctx.Err() != nil {
		return
	}
	if f == nil {
		f = func(*state.Pod) {}
	}
	w.inbox = append(w.inbox, f)
	if !w.busy {
		w.busy = true
		w.wg.Go(w.run)
	}
}

// run works until the inbox is empty and the plan too.
func (w *Worker) run() {
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("pod worker panicked", "panic", p, "stack", string(debug.Stack()))
			w.mu.Lock()
			w.busy = false
			w.mu.Unlock()
			w.wakeIn(10 * time.Second)
		}
	}()
	for round := 0; w.take(); round++ {
		if round > 1000 {
			panic(fmt.Sprint("no rest after 1000 rounds; last plan: ", Decide(&w.st)))
		}
		plan := Decide(&w.st)
		again, err := w.carryOut(plan)
		if err != nil {
			w.report()
			w.wakeIn(stepRetry)
			continue
		}
		if again {
			w.Post(nil)
			continue
		}
		if w.st.Gone && w.st.Mem.Cleaned {
			w.ended()
			continue
		}
		w.probe()
		w.show()
		w.report()
		w.wakeAt(plan.Wake)
	}
}

// take applies the inbox; false when there was nothing and the worker rests.
func (w *Worker) take() bool {
	w.mu.Lock()
	inbox, stale := w.inbox, w.stale
	w.inbox, w.stale = nil, nil
	if len(inbox) == 0 && len(stale) == 0 || w.done || w.ctx.Err() != nil {
		w.busy = false
		w.mu.Unlock()
		return false
	}
	w.mu.Unlock()
	w.st.Now = time.Now()
	for _, f := range inbox {
		f(&w.st)
	}
	for id := range stale {
		w.refresh(w.ctx, id)
	}
	return true
}

// stepRetry is the wait after a step that went wrong in a way no back-off of its own covers.
const stepRetry = time.Second

// carryOut does the steps of a plan, up to the first that goes wrong, and reports whether there were any.
func (w *Worker) carryOut(plan Plan) (bool, error) {
	for _, s := range plan.Steps {
		w.log.Debug("pod step", "do", s.Do, "container", s.Container, "id", s.ID)
		if err := do(s.Do)(w, w.ctx, s); err != nil {
			if w.ctx.Err() == nil {
				w.log.Warn("pod step went wrong", "do", s.Do, "container", s.Container, "error", err)
			}
			return true, err
		}
		w.st.Now = time.Now()
	}
	return len(plan.Steps) > 0, nil
}

// refresh asks the engine about one container.
func (w *Worker) refresh(ctx context.Context, id string) {
	c, err := w.deps.Engine.Container(ctx, id)
	if err != nil {
		w.st.Drop(id)
		return
	}
	w.put(c)
}

// put stores the engine's word on a container, and what it left to say when it has ended.
func (w *Worker) put(c engine.Container) {
	w.st.Put(c)
	if c.State != engine.ContainerExited {
		return
	}
	if _, ok := w.st.Mem.Messages[c.ID]; ok {
		return
	}
	spec, _ := find(w.st.API, c.Config.Name)
	if spec == nil {
		return
	}
	if w.st.Mem.Messages == nil {
		w.st.Mem.Messages = map[string]string{}
	}
	w.st.Mem.Messages[c.ID] = w.deps.Build.Message(w.st.API, spec, &c)
}

// beside runs f in its own goroutine and waits for it a little; what f returns is applied to the state, now or
// when it is there. begin marks that it runs.
func (w *Worker) beside(begin func(*state.Pod), f func() func(*state.Pod)) {
	begin(&w.st)
	patience := w.deps.Patience
	if patience == 0 {
		patience = 50 * time.Millisecond
	}
	ch := make(chan func(*state.Pod), 1)
	var mu sync.Mutex
	waited := false
	w.wg.Go(func() {
		r := f()
		mu.Lock()
		defer mu.Unlock()
		if waited {
			w.Post(r)
			return
		}
		ch <- r
	})
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case r := <-ch:
		r(&w.st)
		return
	case <-t.C:
	}
	mu.Lock()
	waited = true
	mu.Unlock()
	select {
	case r := <-ch:
		r(&w.st)
	default:
	}
}

func (w *Worker) report() {
	s := status.Compute(&w.st, &w.last, w.deps.Host())
	w.last = s
	w.out.put(w.st.API, s)
}

func (w *Worker) wakeAt(t time.Time) {
	if t.IsZero() {
		w.mu.Lock()
		if w.timer != nil {
			w.timer.Stop()
		}
		w.mu.Unlock()
		return
	}
	w.wakeIn(max(0, time.Until(t)) + time.Millisecond)
}

func (w *Worker) wakeIn(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(d, func() { w.Post(nil) })
}

// Close stops timers; the engine's containers are left alone.
func (w *Worker) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	if w.timer != nil {
		w.timer.Stop()
	}
	for id := range w.probed {
		w.deps.Probes.Forget(id)
	}
}

// event records an Event about the pod or one of its containers.
func (w *Worker) event(container, kind, reason, format string, args ...any) {
	w.deps.Events.Event(w.st.API, container, kind, reason, fmt.Sprintf(format, args...))
}

// Containers are the newest attempts of the pod's containers, as last seen. Safe for concurrent use.
func (w *Worker) Containers() []engine.Container {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown
}

// Sandbox is the pod's newest sandbox as last seen; its ID is empty when there is none.
func (w *Worker) Sandbox() engine.Sandbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shownSandbox
}

// show publishes what others may see of the state.
func (w *Worker) show() {
	var l []engine.Container
	for _, attempts := range w.st.Engine {
		l = append(l, attempts...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown, w.shownSandbox = l, engine.Sandbox{}
	if s := w.st.Sandbox(); s != nil {
		w.shownSandbox = *s
	}
}
