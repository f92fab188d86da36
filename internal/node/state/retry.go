package state

import "time"

// Delays between attempts, as upstream: doubling from first to most; forgotten
// when nothing happened for twice the longest.
const (
	FirstDelay = 10 * time.Second
	MostDelay  = 5 * time.Minute
)

// Retry is an exponential back-off. The zero value allows an attempt at once.
type Retry struct {
	Delay time.Duration
	Last  time.Time // when Delay was last raised
}

// Until is the time before which nothing may be tried again after something that
// ended at since; the zero time when it may be tried now.
func (r Retry) Until(since, now time.Time) time.Time {
	if r.Delay == 0 || since.Sub(r.Last) > 2*MostDelay {
		return time.Time{}
	}
	if t := since.Add(r.Delay); now.Before(t) {
		return t
	}
	return time.Time{}
}

// Next records an attempt after something that ended at since.
func (r *Retry) Next(since, now time.Time) {
	switch {
	case r.Delay == 0 || since.Sub(r.Last) > 2*MostDelay:
		r.Delay = FirstDelay
	default:
		r.Delay = min(r.Delay*2, MostDelay)
	}
	r.Last = now
}
