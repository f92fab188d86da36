package cron

import (
	"strings"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, c := range []struct{ spec, from, want string }{
		{"* * * * *", "2026-01-01 00:00:00", "2026-01-01 00:01:00"},
		{"*/15 * * * *", "2026-01-01 00:14:59", "2026-01-01 00:15:00"},
		{"5 4 * * sun", "2026-11-21 00:00:00", "2026-11-22 04:05:00"},
		{"0 0 13 * fri", "2026-11-21 00:00:00", "2026-11-27 00:00:00"},
		{"0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"},
		{"0 0 30 2 *", "2026-01-01 00:00:00", "0001-01-01 00:00:00"},
		{"10-20/5 0 1 jan-mar *", "2026-01-01 00:15:00", "2026-01-01 00:20:00"},
		{"@hourly", "2026-01-01 23:30:00", "2026-01-02 00:00:00"},
		{"@every 90s", "2026-01-01 00:00:00", "2026-01-01 00:01:30"},
	} {
		s, err := Parse(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		from, _ := time.Parse(layout, c.from)
		if got := s.Next(from).Format(layout); got != c.want {
			t.Errorf("%s after %s: %s, want %s", c.spec, c.from, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		"* * * *": "expected exactly 5 fields", "60 * * * *": "above maximum (59)", "* * 0 * *": "below minimum (1)",
		"*/0 * * * *": "positive number", "a * * * *": "failed to parse int", "5-1 * * * *": "beyond end", "@never": "unrecognized descriptor", "* * * * 7": "above maximum (6)",
	} {
		if _, err := Parse(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("*/5 1-3 * jan mon")
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		if s, err := Parse(spec); err == nil {
			if n := s.Next(from); !n.IsZero() && !n.After(from) {
				t.Errorf("%q: %s is not later", spec, n)
			}
		}
	})
}
