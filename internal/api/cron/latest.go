package cron

import "time"

// Latest is the last time after from that is no later than until, or zero, and how many there were between the two: exact
// up to limit, limit+1 for more.
func (s *Schedule) Latest(from, until time.Time, limit int) (last time.Time, n int) {
	if s.every > 0 {
		return s.latestEvery(from, until, limit)
	}
	for t := s.Next(from); !t.IsZero() && !t.After(until); t = s.Next(t) {
		if last, n = t, n+1; n > limit {
			return s.before(from, until), n
		}
	}
	return last, n
}

func (s *Schedule) latestEvery(from, until time.Time, limit int) (time.Time, int) {
	t := s.Next(from)
	if t.After(until) {
		return time.Time{}, 0
	}
	more := until.Sub(t) / s.every
	return t.Add(more * s.every), int(min(more+1, time.Duration(limit+1)))
}

// before looks from until backwards, twice as far each time.
func (s *Schedule) before(from, until time.Time) time.Time {
	for back := time.Hour; ; back *= 2 {
		start := until.Add(-back)
		if start.Before(from) {
			start = from
		}
		var last time.Time
		for t := s.Next(start); !t.IsZero() && !t.After(until); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() || start.Equal(from) {
			return last
		}
	}
}
