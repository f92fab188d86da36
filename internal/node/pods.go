package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/x/run"
)

// pods gives every pod bound to the node a worker and tells it what changed.
type pods struct {
	n    *Node
	deps pod.Deps
	*parts
	wg  sync.WaitGroup
	ctx context.Context

	mu      sync.Mutex
	workers map[types.UID]*entry
	owner   map[string]*pod.Worker // by sandbox id
	found   found
	waiters map[string]map[chan struct{}]bool // for the end of an engine container
}

// entry is one pod's worker and the newest version of the pod.
type entry struct {
	*pod.Worker
	api      *corev1.Pod
	admitted bool
}

func newPods(n *Node) *pods {
	p := &pods{n: n, workers: map[types.UID]*entry{}, owner: map[string]*pod.Worker{}}
	return p
}

// run: listen to the engine, find what runs, then follow the API.
func (p *pods) run(ctx context.Context) error {
	g := run.New(ctx)
	ctx = g.Context()
	p.ctx = ctx
	events, err := p.n.cfg.Engine.Events(ctx)
	if err != nil {
		return fmt.Errorf("subscribe to engine events: %w", err)
	}
	if err := p.adopt(ctx); err != nil {
		return err
	}
	p.parts, p.deps = p.n.assemble(ctx, g)
	defer p.checker.Close()
	caches := client.NewCaches(p.n.cfg.Conn, p.n.log)
	p.services = client.CacheOf[*corev1.Service](caches)
	bound := client.CacheOf[*corev1.Pod](caches, client.Fields("spec.nodeName="+p.n.cfg.Name))
	bound.Subscribe(p.changed)
	g.Go("follow pods and services", caches.Run)
	g.Go("read engine events", func(ctx context.Context) error { return p.listen(ctx, events) })
	g.Go("remove orphans", func(ctx context.Context) error {
		select {
		case <-bound.Synced():
			p.removeOrphans(ctx)
		case <-ctx.Done():
		}
		return nil
	})
	err = g.Wait()
	p.wg.Wait()
	return err
}

// changed gets every change of a pod of this node.
func (p *pods) changed(old, api *corev1.Pod) {
	if api == nil {
		p.gone(old.UID)
		return
	}
	p.mu.Lock()
	e := p.workers[api.UID]
	if e == nil {
		p.add(api)
		p.mu.Unlock()
		return
	}
	if len(api.Spec.EphemeralContainers) > len(e.api.Spec.EphemeralContainers) {
		p.objects.Hold(api, p.refresher(e, api.UID))
	}
	e.api = api
	p.mu.Unlock()
	e.Update(api)
}

func (p *pods) gone(uid types.UID) {
	p.mu.Lock()
	e := p.workers[uid]
	if e != nil {
		e.admitted = false // the scheduler counts it no more and has given its room to others
	}
	p.mu.Unlock()
	if e != nil {
		e.Gone()
	}
}

// add makes a pod's worker and decides whether the node takes it; p.mu is held.
func (p *pods) add(api *corev1.Pod) *entry {
	sandboxes, containers := p.found.take(string(api.UID))
	e := &entry{api: api}
	p.objects.Hold(api, p.refresher(e, api.UID))
	e.Worker = pod.NewWorker(p.ctx, &p.wg, &p.deps, api, sandboxes, containers, func() { p.drop(api.UID) })
	p.workers[api.UID] = e
	for _, s := range sandboxes {
		p.owner[s.ID] = e.Worker
		if s.Config.User != nil {
			p.users.adopt(api.UID, s.Config.User)
		}
	}
	switch {
	case api.DeletionTimestamp != nil, finished(api):
	case len(containers) > 0 || api.Status.StartTime != nil:
		e.admitted = true
	default:
		if reason, msg := p.admit(api); reason != "" {
			p.events.Event(api, "", "Warning", reason, msg)
			e.Reject(reason, "Pod was rejected: "+msg)
			return e
		}
		e.admitted = true
		e.Admit(time.Now())
		return e
	}
	e.Post(nil)
	return e
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// drop forgets a pod of which nothing is left but its logs, and those too.
func (p *pods) drop(uid types.UID) {
	p.mu.Lock()
	e := p.workers[uid]
	delete(p.workers, uid)
	p.mu.Unlock()
	if e == nil {
		return
	}
	e.Close()
	p.objects.Drop(uid)
	p.users.free(uid)
	if err := os.RemoveAll(p.n.LogDir(e.api)); err != nil {
		p.n.log.Warn("logs of a former pod not removed; the next start tries again", "error", err)
	}
}

// refresher is called when something the pod names changed.
// refresher does its work beside the caller: the volumes wait for the very watch that calls it.
func (p *pods) refresher(e *entry, uid types.UID) func() {
	return func() {
		p.wg.Go(func() {
			p.volumes.Refresh(p.ctx, uid)
			p.mu.Lock()
			w := e.Worker
			p.mu.Unlock()
			if w != nil {
				w.Retry()
			}
		})
	}
}

// listen hands engine events to the workers they concern.
func (p *pods) listen(ctx context.Context, events <-chan engine.Event) error {
	for ev := range events {
		switch ev.Type {
		case engine.ContainerDied, engine.ContainerRemoved, engine.SandboxStopped, engine.SandboxRemoved:
			p.tell(ev)
		case engine.Lost:
			p.refreshAll(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("engine event stream ended")
}

func (p *pods) tell(ev engine.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ev.Container != "" {
		p.wake(ev.Container)
	}
	w := p.owner[ev.SandboxID]
	switch {
	case w == nil:
	case ev.Container != "":
		w.Touch(ev.Container)
	default:
		w.TouchSandbox(ev.SandboxID)
	}
}

// own remembers whose a sandbox is; w nil forgets it.
func (p *pods) own(sandbox string, w *pod.Worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w == nil {
		delete(p.owner, sandbox)
	} else {
		p.owner[sandbox] = w
	}
}

// refreshAll makes every worker look again, after events were lost.
func (p *pods) refreshAll(context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.workers {
		e.TouchAll()
	}
}

// list is every pod of the node, in no order.
func (p *pods) list() []*corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*corev1.Pod, 0, len(p.workers))
	for _, e := range p.workers {
		out = append(out, e.api)
	}
	return out
}

// LogDir is where a pod's containers log: <ns>_<name>_<uid>.
func (n *Node) LogDir(pod metav1.Object) string {
	return filepath.Join(n.cfg.LogDir, pod.GetNamespace()+"_"+pod.GetName()+"_"+string(pod.GetUID()))
}
