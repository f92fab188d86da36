package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/opencontainers/cgroups"

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
	m, _, err := open(path, nil)
	if err != nil {
		return Usage{}, err
	}
	if !m.Exists() {
		return Usage{}, fault.New(fault.NotFound, "cgroup %s is not there", path)
	}
	s, err := m.Stats(&cgroups.StatsOptions{Controllers: cgroups.CPU | cgroups.Memory | cgroups.Pids})
	if err != nil && s == nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrNotExist) {
			return Usage{}, fault.New(fault.NotFound, "cgroup %s is not there", path)
		}
		return Usage{}, fmt.Errorf("measure cgroup %s: %w", path, err)
	}
	kills, _ := m.OOMKillCount()
	return usage(s, kills), nil
}

func usage(s *cgroups.Stats, kills uint64) Usage {
	mem := s.MemoryStats
	first := func(keys ...string) uint64 {
		for _, k := range keys {
			if v, ok := mem.Stats[k]; ok {
				return v
			}
		}
		return 0
	}
	u := Usage{Time: time.Now(), CPU: time.Duration(s.CpuStats.CpuUsage.TotalUsage), MemoryUsage: mem.Usage.Usage,
		RSS: first("anon", "total_rss", "rss"), PageFaults: first("pgfault", "total_pgfault"),
		MajorPageFaults: first("pgmajfault", "total_pgmajfault"), Pids: s.PidsStats.Current, OOMKills: kills}
	if inactive := first("total_inactive_file", "inactive_file"); inactive < u.MemoryUsage {
		u.WorkingSet = u.MemoryUsage - inactive
	}
	// Both versions say "none" with a number near the top of their range.
	if l := mem.Usage.Limit; l < 1<<62 {
		u.MemoryLimit = l
	}
	return u
}
