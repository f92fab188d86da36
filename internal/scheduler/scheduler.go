// Package scheduler gives every pod a node.
//
// It only decides: filter, score, pick and preempt are pure over cluster.State; this
// file is the loop around them, driven by changes of pods, nodes, namespaces and volumes. It must not
// know controllers, nodes or stores. Read this file first, then pick.go.
package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dhow-project/dhow/internal/api"
	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/scheduler/cluster"
	"github.com/dhow-project/dhow/internal/scheduler/filter"
	"github.com/dhow-project/dhow/internal/x/run"
)

// Name is the schedulerName of the pods it takes.
const Name = corev1.DefaultSchedulerName

// binders is how many bindings are on their way at once; each costs one durable write, and they share one commit.
const binders = 64

// Recorder writes events; client.Recorder is one.
type Recorder interface {
	Event(about api.Object, eventType, reason, format string, args ...any)
}

// Config of a scheduler. All fields are needed.
type Config struct {
	Conn     client.Conn
	Caches   *client.Caches // not yet running
	Recorder Recorder
	Log      *slog.Logger
}

// Scheduler is the loop. Use New.
type Scheduler struct {
	Config
	pods     client.Client[*corev1.Pod]
	podCache client.Cache[*corev1.Pod]

	mu      sync.Mutex
	changes []func()
	wake    chan struct{} // has one place

	// What follows belongs to the loop's goroutine.
	state  *cluster.State
	queue  *queue
	picker picker
	bind   chan *item
	group  *run.Group

	storage *storage
	waiting waiting
	ready   []*item // their volumes have come: to be bound
}

// New subscribes to the caches; it reads and writes nothing yet.
func New(c Config) *Scheduler {
	s := &Scheduler{
		Config:   c,
		pods:     client.For[*corev1.Pod](c.Conn),
		podCache: client.CacheOf[*corev1.Pod](c.Caches),
		wake:     make(chan struct{}, 1),
		queue:    newQueue(),
		bind:     make(chan *item, binders),
		waiting:  waiting{},
	}
	namespaces := client.CacheOf[*corev1.Namespace](c.Caches)
	s.state = cluster.New(func(name string) labels.Set {
		if ns, ok := namespaces.Get("", name); ok {
			return ns.Labels
		}
		return nil
	})
	s.storage = newStorage(c)
	s.state.SetStorage(s.storage)
	s.storage.follow(s)
	s.podCache.Subscribe(func(old, pod *corev1.Pod) { s.later(func() { s.podChanged(old, pod) }) })
	client.CacheOf[*corev1.Node](c.Caches).Subscribe(func(old, node *corev1.Node) {
		if schedulingSame(old, node) {
			return
		}
		s.later(func() { s.nodeChanged(old, node) })
	})
	return s
}

// later hands a change to the loop; it never blocks.
func (s *Scheduler) later(f func()) {
	s.mu.Lock()
	s.changes = append(s.changes, f)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run lives until ctx ends.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.Caches.WaitSynced(ctx); err != nil {
		return err
	}
	s.group = run.New(ctx)
	for range binders {
		s.group.Go("bind", s.binder)
	}
	s.group.Go("schedule", s.loop)
	return s.group.Wait()
}

func (s *Scheduler) loop(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.applyChanges()
		for _, it := range s.ready {
			if err := s.hand(ctx, it); err != nil {
				return err
			}
		}
		s.ready = nil
		it, wait := s.queue.pop(time.Now())
		if it != nil {
			if err := s.schedule(ctx, it); err != nil {
				return err
			}
			continue
		}
		if wait < 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Scheduler) applyChanges() {
	s.mu.Lock()
	changes := s.changes
	s.changes = nil
	s.mu.Unlock()
	for _, f := range changes {
		f()
	}
}

// podChanged sorts a pod into one of three places: on a node, waiting for one, or none of ours.
func (s *Scheduler) podChanged(old, pod *corev1.Pod) {
	if pod == nil {
		s.drop(old.UID)
		return
	}
	if old != nil && old.UID != pod.UID {
		s.drop(old.UID)
	}
	done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch {
	case done:
		s.drop(pod.UID)
	case pod.Spec.NodeName != "":
		s.queue.remove(pod.UID)
		if assigned(old) && s.state.Pod(pod.UID) != nil && old.Generation == pod.Generation && sameLabels(old, pod) && sameDeletion(old, pod) {
			return // only its status changed
		}
		s.state.Assign(cluster.Compile(pod), pod.Spec.NodeName)
		s.queue.unpark() // somebody may want to be near it
	case pod.DeletionTimestamp != nil, len(pod.Spec.SchedulingGates) > 0, pod.Spec.SchedulerName != Name:
		s.queue.remove(pod.UID)
		if s.waiting[pod.UID] != nil { // assumed, but its volumes are not there yet
			s.drop(pod.UID)
		}
	case s.state.Pod(pod.UID) != nil: // assumed: its binding is on the way
	case old != nil && old.UID == pod.UID && old.Generation == pod.Generation && sameLabels(old, pod) && s.queue.items[pod.UID] != nil:
		s.queue.items[pod.UID].pod.Object = pod // only its status changed, most likely by us
	default:
		s.queue.set(cluster.Compile(pod), time.Now())
	}
}

func (s *Scheduler) drop(uid types.UID) {
	s.queue.remove(uid)
	s.waiting.drop(uid)
	if s.state.Remove(uid) != nil {
		s.queue.unpark()
	}
}

func (s *Scheduler) nodeChanged(old, node *corev1.Node) {
	if node == nil {
		s.state.RemoveNode(old.Name)
		return
	}
	s.state.SetNode(node)
	s.queue.unpark()
}

func assigned(p *corev1.Pod) bool { return p != nil && p.Spec.NodeName != "" }

func sameDeletion(a, b *corev1.Pod) bool {
	return (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil)
}

func sameLabels(a, b *corev1.Pod) bool { return labels.Equals(a.Labels, b.Labels) }

// schedule decides for one pod and hands the result on.
func (s *Scheduler) schedule(ctx context.Context, it *item) error {
	d := s.picker.pick(s.state, it.pod)
	if d.node == "" {
		s.refused(ctx, it, d)
		return nil
	}
	volumes, _ := filter.Plan(s.state, it.pod, s.state.Node(d.node))
	s.state.Assign(it.pod, d.node)
	it.target = d.node
	if !volumes.None() {
		s.await(it, volumes)
		return nil
	}
	return s.hand(ctx, it)
}

// hand gives a decision to the binders.
func (s *Scheduler) hand(ctx context.Context, it *item) error {
	select {
	case s.bind <- it:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
