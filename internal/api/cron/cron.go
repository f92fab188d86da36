// Package cron reads the schedules of CronJobs: five fields as in crontab(5),
// or a descriptor such as @daily or @every 90m.
//
// It must not know any kind. Read Parse first.
package cron

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule gives times. It is safe for concurrent use.
type Schedule struct {
	minute, hour, day, month, weekday uint64 // bit n: value n matches
	anyDay, anyWeekday                bool   // written as * (or ?)
	every                             time.Duration
}

type bounds struct {
	min, max uint
	names    []string // from min on
}

func fields() [5]bounds {
	return [5]bounds{
		{min: 0, max: 59}, {min: 0, max: 23}, {min: 1, max: 31},
		{1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{0, 6, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// Parse reads a schedule.
func Parse(spec string) (*Schedule, error) {
	if spec == "" {
		return nil, fmt.Errorf("empty spec string")
	}
	if strings.HasPrefix(spec, "@") {
		return descriptor(spec)
	}
	words := strings.Fields(spec)
	if len(words) != 5 {
		return nil, fmt.Errorf("expected exactly 5 fields, found %d: %v", len(words), words)
	}
	var bits [5]uint64
	var star [5]bool
	for i, b := range fields() {
		var err error
		if bits[i], star[i], err = parseField(words[i], b); err != nil {
			return nil, err
		}
	}
	return &Schedule{minute: bits[0], hour: bits[1], day: bits[2], month: bits[3], weekday: bits[4], anyDay: star[2], anyWeekday: star[4]}, nil
}

func descriptor(spec string) (*Schedule, error) {
	switch spec {
	case "@yearly", "@annually":
		return Parse("0 0 1 1 *")
	case "@monthly":
		return Parse("0 0 1 * *")
	case "@weekly":
		return Parse("0 0 * * 0")
	case "@daily", "@midnight":
		return Parse("0 0 * * *")
	case "@hourly":
		return Parse("0 * * * *")
	}
	every, ok := strings.CutPrefix(spec, "@every ")
	if !ok {
		return nil, fmt.Errorf("unrecognized descriptor: %s", spec)
	}
	d, err := time.ParseDuration(every)
	if err != nil {
		return nil, fmt.Errorf("failed to parse duration %s: %s", spec, err)
	}
	return &Schedule{every: max(d.Truncate(time.Second), time.Second)}, nil
}

// parseField reads a list of ranges.
func parseField(field string, b bounds) (bits uint64, star bool, err error) {
	for _, part := range strings.FieldsFunc(field, func(r rune) bool { return r == ',' }) {
		bit, s, err := parseRange(part, b)
		if err != nil {
			return 0, false, err
		}
		bits |= bit
		star = star || s
	}
	return bits, star, nil
}

// parseRange reads number, number-number or *, each with /step.
func parseRange(part string, b bounds) (bits uint64, star bool, err error) {
	span, stepText, stepped := strings.Cut(part, "/")
	if strings.Contains(stepText, "/") {
		return 0, false, fmt.Errorf("too many slashes: %s", part)
	}
	var lo, hi uint
	first, last, ranged := strings.Cut(span, "-")
	switch {
	case first == "*" || first == "?":
		lo, hi, star = b.min, b.max, true
	case strings.Contains(last, "-"):
		return 0, false, fmt.Errorf("too many hyphens: %s", part)
	default:
		if lo, err = value(first, b); err != nil {
			return 0, false, err
		}
		hi = lo
		if ranged {
			if hi, err = value(last, b); err != nil {
				return 0, false, err
			}
		} else if stepped {
			hi = b.max
		}
	}
	step := uint(1)
	if stepped {
		if step, err = number(stepText); err != nil {
			return 0, false, err
		}
		star = star && step <= 1
	}
	switch {
	case lo < b.min:
		return 0, false, fmt.Errorf("beginning of range (%d) below minimum (%d): %s", lo, b.min, part)
	case hi > b.max:
		return 0, false, fmt.Errorf("end of range (%d) above maximum (%d): %s", hi, b.max, part)
	case lo > hi:
		return 0, false, fmt.Errorf("beginning of range (%d) beyond end of range (%d): %s", lo, hi, part)
	case step == 0:
		return 0, false, fmt.Errorf("step of range should be a positive number: %s", part)
	}
	for v := lo; v <= hi; v += step {
		bits |= 1 << v
	}
	return bits, star, nil
}

func value(s string, b bounds) (uint, error) {
	for i, n := range b.names {
		if strings.EqualFold(n, s) {
			return b.min + uint(i), nil
		}
	}
	return number(s)
}

func number(s string) (uint, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("failed to parse int from %s: %s", s, err)
	}
	if n < 0 {
		return 0, fmt.Errorf("negative number (%d) not allowed: %s", n, s)
	}
	return uint(n), nil
}

// Next is the first time after t, in t's location; zero when there is none within five years
// (30 February).
func (s *Schedule) Next(t time.Time) time.Time {
	if s.every > 0 {
		return t.Add(s.every - time.Duration(t.Nanosecond()))
	}
	t = t.Truncate(time.Second).Add(time.Minute - time.Duration(t.Second())*time.Second)
	limit := t.Year() + 5
	for t.Year() <= limit {
		switch {
		case s.month&(1<<uint(t.Month())) == 0:
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, t.Location())
		case !s.matchesDay(t):
			t = later(t, time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location()))
		case s.hour&(1<<uint(t.Hour())) == 0:
			// Adding, not naming, the hour: with daylight saving one may not exist, or exist twice.
			t = t.Add(time.Hour - time.Duration(t.Minute())*time.Minute)
		case s.minute&(1<<uint(t.Minute())) == 0:
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

// later is u unless a clock change at midnight made it no later than t.
func later(t, u time.Time) time.Time {
	if u.After(t) {
		return u
	}
	return t.Add(time.Hour)
}

// matchesDay: when both days are restricted either may match, as in crontab(5).
func (s *Schedule) matchesDay(t time.Time) bool {
	day, weekday := s.day&(1<<uint(t.Day())) != 0, s.weekday&(1<<uint(t.Weekday())) != 0
	if s.anyDay || s.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
