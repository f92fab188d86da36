package client

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dhow-project/dhow/internal/api"
)

const recorderBacklog = 1000 // events waiting to be written; more are dropped

// Recorder writes Events about objects in the background. A nil Recorder drops everything. Use NewRecorder and Run it.
type Recorder struct {
	events Client[*corev1.Event]
	conn   Conn
	source corev1.EventSource
	log    *slog.Logger
	kinds  func() map[reflect.Type]*api.Kind
	queue  chan *corev1.Event
	seen   correlator
}

// NewRecorder makes a recorder for a component ("deployment-controller") on a host (may be empty).
func NewRecorder(conn Conn, component, host string, log *slog.Logger) *Recorder {
	return &Recorder{
		events: For[*corev1.Event](conn), conn: conn, log: log,
		source: corev1.EventSource{Component: component, Host: host},
		kinds:  sync.OnceValue(func() map[reflect.Type]*api.Kind { return kindsByType(conn.Registry()) }),
		queue:  make(chan *corev1.Event, recorderBacklog),
		seen:   newCorrelator(),
	}
}

// As is the same recorder under the name of another component.
func (r *Recorder) As(component string) *Recorder {
	if r == nil {
		return nil
	}
	other := *r
	other.source.Component = component
	return &other
}

func kindsByType(r *api.Registry) map[reflect.Type]*api.Kind {
	out := map[reflect.Type]*api.Kind{}
	for _, k := range r.Kinds() {
		out[reflect.TypeOf(k.Hub().New())] = k
	}
	return out
}

// Event records that something happened to obj. It never blocks. kind is corev1.EventTypeNormal or EventTypeWarning.
func (r *Recorder) Event(obj api.Object, kind, reason, format string, args ...any) {
	if r == nil {
		return
	}
	ref := corev1.ObjectReference{Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion()}
	if k := r.kinds()[reflect.TypeOf(obj)]; k != nil {
		ref.APIVersion, ref.Kind = k.GroupVersionKind().ToAPIVersionAndKind()
	}
	r.EventRef(ref, kind, reason, format, args...)
}

// EventRef is Event for a reference, which may have a fieldPath.
func (r *Recorder) EventRef(ref corev1.ObjectReference, kind, reason, format string, args ...any) {
	if r == nil {
		return
	}
	now := metav1.Now()
	namespace := ref.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
		InvolvedObject: ref, Reason: reason, Message: fmt.Sprintf(format, args...), Type: kind,
		Source: r.source, ReportingController: r.source.Component, ReportingInstance: r.source.Host,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
	select {
	case r.queue <- e:
	default:
		r.log.Warn("event dropped: too many wait", "reason", reason, "object", ref.Name)
	}
}

// Run writes events until ctx ends; what waits then is dropped.
func (r *Recorder) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.queue:
			if err := r.write(ctx, e); err != nil && ctx.Err() == nil {
				r.log.Warn("event not written", "reason", e.Reason, "object", e.InvolvedObject.Name, "err", err)
			}
		}
	}
}

func (r *Recorder) write(ctx context.Context, e *corev1.Event) error {
	last, ok := r.seen.correlate(e, time.Now())
	if !ok {
		return nil
	}
	if last.name != "" {
		_, err := Mutate(ctx, r.events, e.Namespace, last.name, func(have *corev1.Event) error {
			have.Count, have.LastTimestamp, have.Message = last.count, e.LastTimestamp, e.Message
			return nil
		})
		if !apierrors.IsNotFound(err) {
			return err
		}
		e.Count = last.count
	}
	_, err := r.events.Create(ctx, e)
	if apierrors.IsAlreadyExists(err) { // two in one nanosecond
		e.Name = fmt.Sprintf("%s.%x", e.InvolvedObject.Name, rand.Uint64()>>1)
		_, err = r.events.Create(ctx, e)
	}
	if err == nil {
		r.seen.created(e)
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
