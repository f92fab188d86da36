package pod

import (
	"errors"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dhow-project/dhow/internal/node/state"
	"github.com/dhow-project/dhow/internal/node/status"
)

// writer carries a pod's status to the API, the newest only, beside the worker: a
// slow or absent API never holds up containers. It too has a goroutine only while there is something to write.
type writer struct {
	w *Worker

	mu      sync.Mutex
	busy    bool
	base    *corev1.Pod
	want    *corev1.PodStatus
	written *corev1.PodStatus
	forget  bool
	delay   time.Duration
	timer   *time.Timer
}

const (
	firstWriteDelay = 100 * time.Millisecond
	mostWriteDelay  = 10 * time.Second
)

func newWriter(w *Worker, pod *corev1.Pod) *writer {
	return &writer{w: w, base: pod, written: &pod.Status}
}

// put replaces what is to be written.
func (o *writer) put(base *corev1.Pod, s corev1.PodStatus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if newer(base, o.base) {
		o.base = base
	}
	o.want = &s
	o.kick()
}

// finalize deletes the pod once its last status is written.
func (o *writer) finalize() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget = true
	o.kick()
}

// kick starts the goroutine; o.mu is held.
func (o *writer) kick() {
	if o.busy || o.w.ctx.Err() != nil {
		return
	}
	o.busy = true
	o.w.wg.Go(o.run)
}

func (o *writer) run() {
	for {
		o.mu.Lock()
		want, base, forget := o.want, o.base, o.forget
		o.want = nil
		if want == nil && !forget {
			o.busy = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		var err error
		if want != nil && !o.same(base, want) {
			err = o.write(base, want)
		}
		if err == nil && forget {
			if err = o.w.deps.API.Forget(o.w.ctx, base); err == nil {
				o.mu.Lock()
				o.forget = false
				o.mu.Unlock()
				o.w.Post(func(st *state.Pod) { st.Mem.Finalized = true })
			}
		}
		if err != nil && !o.retry(want, err) {
			return
		}
	}
}

// same reports whether the API shows want already.
func (o *writer) same(base *corev1.Pod, want *corev1.PodStatus) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	merged := status.Merge(*want, &base.Status)
	return equality.Semantic.DeepEqual(&merged, o.written)
}

func (o *writer) write(base *corev1.Pod, want *corev1.PodStatus) error {
	merged := status.Merge(*want, &base.Status)
	stored, err := o.w.deps.API.WriteStatus(o.w.ctx, base, merged)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written, o.delay = &merged, 0
	if newer(stored, o.base) {
		o.base = stored
	}
	return nil
}

// retry puts want back unless there is something newer, and waits; false when the goroutine ends.
func (o *writer) retry(want *corev1.PodStatus, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if apierrors.IsNotFound(err) || errors.Is(err, errOther) {
		o.busy, o.forget = false, false
		o.w.Gone()
		return false
	}
	if o.want == nil {
		o.want = want
	}
	if o.w.ctx.Err() != nil {
		o.busy = false
		return false
	}
	o.delay = min(max(2*o.delay, firstWriteDelay), mostWriteDelay)
	o.w.log.Warn("pod status not written, trying again", "error", err, "in", o.delay)
	o.timer = time.AfterFunc(o.delay, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.w.ctx.Err() == nil {
			o.w.wg.Go(o.run)
		}
	})
	return false
}

var errOther = errors.New("another pod has the name now")

// newer reports whether a is a later version than b of the same object; resource versions are comparable numbers (KEP-5504).
func newer(a, b *corev1.Pod) bool {
	x, errA := strconv.ParseUint(a.ResourceVersion, 10, 64)
	y, errB := strconv.ParseUint(b.ResourceVersion, 10, 64)
	return errA != nil || errB != nil || x > y
}
