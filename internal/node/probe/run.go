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

	met     bool      // it was successful once
	regular time.Time // the next check that counts whatever its outcome
	hurry   time.Time // until then checks that fail are repeated soon
	pause   time.Duration
}

// A container runs here milliseconds after it was made, before its program listens. So that this is neither held against it nor
// costs it a period of waiting, failures in its first second do not count (upstream's kubelet looks no earlier in practice), and
// until it was successful once, start-up and readiness are looked at more often during their first period; those extra
// checks count when they succeed.
const (
	grace      = time.Second
	firstPause = 25 * time.Millisecond // doubled each time
	lastPause  = time.Second
	mostHurry  = 10 * time.Second
)

// begin is when the first check is due.
func (r *run) begin(started, now time.Time) time.Time {
	first := started.Add(time.Duration(r.p.InitialDelaySeconds) * time.Second)
	r.regular = later(first, started.Add(grace), now)
	if r.kind == pod.Liveness {
		return r.regular
	}
	first = later(first, now)
	r.hurry, r.pause = first.Add(min(r.period(), mostHurry)), firstPause
	return first
}

// counts tells whether a failure of the check made at that time counts.
func (r *run) counts(at time.Time) bool { return !at.Before(r.regular) }

// next is when to check again after the check made at a time.
func (r *run) next(ok bool, at, now time.Time) time.Time {
	if ok || r.counts(at) {
		r.regular = later(at.Add(r.period()), now)
	}
	r.met = r.met || ok
	soon := now.Add(r.pause)
	if r.met || soon.After(r.hurry) || soon.After(r.regular) {
		return r.regular
	}
	r.pause = min(2*r.pause, lastPause)
	return soon
}

func later(a time.Time, others ...time.Time) time.Time {
	for _, b := range others {
		if b.After(a) {
			a = b
		}
	}
	return a
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
