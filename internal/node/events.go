package node

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/client"
	"github.com/dhow-project/dhow/internal/x/run"
)

// recorder writes Events about pods and the node, beside everybody: a full queue drops events, never holds up a pod.
// Equal events are one object with a count, as upstream's correlator makes them.
type recorder struct {
	n     *Node
	queue chan *corev1.Event
	conn  client.Client[*corev1.Event]

	mu   sync.Mutex
	seen map[string]*corev1.Event // by everything but time
}

const (
	maxQueuedEvents = 1000
	maxSeenEvents   = 4096
)

func newRecorder(ctx context.Context, g *run.Group, n *Node) *recorder {
	r := &recorder{n: n, queue: make(chan *corev1.Event, maxQueuedEvents), seen: map[string]*corev1.Event{}}
	r.conn = client.For[*corev1.Event](n.cfg.Conn)
	g.Go("write events", r.run)
	return r
}

// Event implements pod.Recorder.
func (r *recorder) Event(p *corev1.Pod, container, kind, reason, message string) {
	ref := corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion}
	if container != "" {
		ref.FieldPath = fieldPath(p, container)
	}
	r.record(ref, kind, reason, message)
}

func fieldPath(p *corev1.Pod, container string) string {
	for _, c := range p.Spec.InitContainers {
		if c.Name == container {
			return "spec.initContainers{" + container + "}"
		}
	}
	for _, c := range p.Spec.EphemeralContainers {
		if c.Name == container {
			return "spec.ephemeralContainers{" + container + "}"
		}
	}
	return "spec.containers{" + container + "}"
}

func (r *recorder) record(ref corev1.ObjectReference, kind, reason, message string) {
	now := metav1.NewTime(time.Now())
	ns := ref.Namespace
	if ns == "" {
		ns = metav1.NamespaceDefault
	}
	if len(message) > 1024 {
		message = message[:1021] + "..."
	}
	ev := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
		InvolvedObject: ref, Reason: reason, Message: message, Type: kind, Count: 1,
		FirstTimestamp: now, LastTimestamp: now,
		Source:              corev1.EventSource{Component: "kubelet", Host: r.n.cfg.Name},
		ReportingController: "kubelet", ReportingInstance: r.n.cfg.Name,
	}
	select {
	case r.queue <- ev:
	default:
		r.n.log.Warn("event dropped, the queue is full", "reason", reason)
	}
}

func (r *recorder) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev := <-r.queue:
			if err := r.write(ctx, ev); err != nil && ctx.Err() == nil {
				r.n.log.Debug("event not written", "reason", ev.Reason, "error", err)
			}
		}
	}
}

func (r *recorder) write(ctx context.Context, ev *corev1.Event) error {
	k := eventKey(ev)
	if old := r.seen[k]; old != nil {
		up := old.DeepCopy()
		up.Count++
		up.LastTimestamp = ev.LastTimestamp
		up.ResourceVersion = ""
		if stored, err := r.conn.Update(ctx, up); err == nil {
			r.seen[k] = stored
			return nil
		}
		delete(r.seen, k)
	}
	stored, err := r.conn.Create(ctx, ev)
	if err != nil {
		return err
	}
	if len(r.seen) >= maxSeenEvents {
		clear(r.seen)
	}
	r.seen[k] = stored
	return nil
}

func eventKey(ev *corev1.Event) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s", ev.InvolvedObject.UID, ev.InvolvedObject.FieldPath, ev.Type, ev.Reason, ev.Message)
	return string(h.Sum(nil))
}
