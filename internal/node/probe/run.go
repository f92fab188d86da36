package probe

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dhow-project/dhow/internal/node/pod"
	"github.com/dhow-project/dhow/internal/node/state"
)

type verdict uint8

const (
	unknown verdict = iota
	success
	failure
)

// run is one probe's history. It is owned by its target's lock.
type run struct {
	kind    string
	p       *corev1.Probe
	timer   *time.Timer
	last    bool
	count   int32 // equal outcomes in a row
	verdict verdict
}

func newRun(kind string, p *corev1.Probe) *run {
	r := &run{kind: kind, p: p}
	if kind == pod.Liveness {
		r.verdict = success // until proven otherwise
	}
	return r
}

// see takes one outcome and reports whether the verdict changed.
func (r *run) see(ok bool) bool {
	if r.count == 0 || r.last != ok {
		r.last, r.count = ok, 0
	}
	r.count++
	need := max(r.p.SuccessThreshold, 1)
	now := success
	if !ok {
		now = failure
		if need = r.p.FailureThreshold; need < 1 {
			need = 3
		}
	}
	if r.count < need || r.verdict == now {
		return false
	}
	r.verdict = now
	return true
}

func (r *run) state() state.Verdict {
	switch r.verdict {
	case success:
		return state.Success
	case failure:
		return state.Failure
	}
	return state.Unknown
}

func (r *run) period() time.Duration {
	if r.p.PeriodSeconds <= 0 {
		return 10 * time.Second
	}
	return time.Duration(r.p.PeriodSeconds) * time.Second
}

func (r *run) timeout() time.Duration {
	return time.Duration(max(r.p.TimeoutSeconds, 1)) * time.Second
}
