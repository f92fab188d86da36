package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Usage of a group and all below it at Time.
type Usage struct {
	Time                        time.Time
	CPU                         time.Duration // total
	MemoryUsage, WorkingSet     uint64        // bytes; the working set leaves out inactive file pages
	RSS                         uint64        // anonymous memory, bytes
	MemoryLimit                 uint64        // bytes, 0 for none
	PageFaults, MajorPageFaults uint64
	Pids                        uint64
	OOMKills                    uint64
}

// Stats measures a group; NotFound if it is not there.
func Stats(path string) (Usage, error) {
	m, err := host()
	if err != nil {
		return Usage{}, err
	}
	if err := valid(path); err != nil {
		return Usage{}, err
	}
	u, err := m.usage(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return Usage{}, fault.New(fault.NotFound, "cgroup %s is not there", path)
	}
	if err != nil {
		return Usage{}, fmt.Errorf("measure cgroup %s: %w", path, err)
	}
	return u, nil
}

// sources are the files that tell, by version. CPU time is in unit.
type sources struct {
	cpu, cpuFile, cpuKey string
	unit                 time.Duration
	usage, limit, oom    string
	rss, inactive        []string // keys of memory.stat, the first that is there
	faults, major        []string
}

func sourcesOf(v2 bool) sources {
	if v2 {
		return sources{cpu: "cpu", cpuFile: "cpu.stat", cpuKey: "usage_usec", unit: time.Microsecond,
			usage: "memory.current", limit: "memory.max", oom: "memory.events",
			rss: []string{"anon"}, inactive: []string{"inactive_file"}, faults: []string{"pgfault"}, major: []string{"pgmajfault"}}
	}
	return sources{cpu: "cpuacct", cpuFile: "cpuacct.usage", unit: time.Nanosecond,
		usage: "memory.usage_in_bytes", limit: "memory.limit_in_bytes", oom: "memory.oom_control",
		rss: []string{"total_rss", "rss"}, inactive: []string{"total_inactive_file", "inactive_file"},
		faults: []string{"total_pgfault", "pgfault"}, major: []string{"total_pgmajfault", "pgmajfault"}}
}

func (m *machine) usage(path string) (Usage, error) {
	s, u := sourcesOf(m.v2), Usage{Time: time.Now()}
	var errs []error
	get := func(controller, file string) string {
		t, err := m.find(controller)
		if err != nil {
			errs = append(errs, err)
			return ""
		}
		text, err := read(filepath.Join(t.root, path), file)
		errs = append(errs, err)
		return text
	}
	cpu := get(s.cpu, s.cpuFile)
	if s.cpuKey != "" {
		u.CPU = time.Duration(keyed(cpu, s.cpuKey)) * s.unit
	} else {
		u.CPU = time.Duration(single(cpu)) * s.unit
	}
	u.MemoryUsage = single(get("memory", s.usage))
	// Both versions say "none" with a number near the top of their range, or with a word.
	if l := single(get("memory", s.limit)); l < 1<<62 {
		u.MemoryLimit = l
	}
	stat := get("memory", "memory.stat")
	u.RSS, u.PageFaults, u.MajorPageFaults = keyed(stat, s.rss...), keyed(stat, s.faults...), keyed(stat, s.major...)
	if inactive := keyed(stat, s.inactive...); inactive < u.MemoryUsage {
		u.WorkingSet = u.MemoryUsage - inactive
	}
	u.OOMKills = keyed(get("memory", s.oom), "oom_kill")
	u.Pids = single(get("pids", "pids.current"))
	return u, errors.Join(errs...)
}

// single reads a file of one number; "max" and nothing are 0.
func single(text string) uint64 {
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// keyed finds the first of the keys in lines of "key number"; 0 if there is none.
func keyed(text string, keys ...string) uint64 {
	for _, k := range keys {
		for line := range strings.Lines(text) {
			if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == k {
				return single(value)
			}
		}
	}
	return 0
}
