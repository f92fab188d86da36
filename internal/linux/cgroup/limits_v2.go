package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// limitsV2 says the same in cgroup v2's words (cgroup-v2.rst; runtime-spec, config-linux.md, "Unified").
func limitsV2(r *specs.LinuxResources) ([]limit, error) {
	var l list
	if c := r.CPU; c != nil {
		cpuV2(&l, c)
	}
	if m := r.Memory; m != nil {
		if err := memoryV2(&l, m); err != nil {
			return nil, err
		}
	}
	pids(&l, r.Pids)
	hugepages(&l, r.HugepageLimits, "max")
	ioV2(&l, r.BlockIO)
	for _, file := range slices.Sorted(maps.Keys(r.Unified)) {
		controller, _, ok := strings.Cut(file, ".")
		if !ok || strings.Contains(file, "/") {
			return nil, fmt.Errorf("cgroup file %q: it has no name like memory.high", file)
		}
		for _, line := range strings.Split(r.Unified[file], "\n") {
			l.add(limit{controller, file, line, false})
		}
	}
	return l.items, nil
}

func cpuV2(l *list, c *specs.LinuxCPU) {
	number(l, "cpu", "cpu.idle", c.Idle)
	if c.Shares != nil && *c.Shares != 0 {
		l.add(limit{"cpu", "cpu.weight", strconv.FormatUint(weight(*c.Shares), 10), false})
	}
	number(l, "cpu", "cpu.max.burst", c.Burst)
	quota, period := value(c.Quota), value(c.Period)
	if quota != 0 || period != 0 {
		text := "max"
		if quota > 0 {
			text = strconv.FormatInt(quota, 10)
		}
		if period == 0 {
			period = 100_000 // the kernel's own
		}
		l.add(limit{"cpu", "cpu.max", fmt.Sprint(text, " ", period), false})
	}
	l.text("cpuset", "cpuset.cpus", c.Cpus)
	l.text("cpuset", "cpuset.mems", c.Mems)
}

// weight maps the shares of v1, 2..262144 around 1024, to 1..10000 around 100. The curve is the one that runc and crun
// agreed on in 2025: it meets both ends and the middle.
func weight(shares uint64) uint64 {
	switch {
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

func memoryV2(l *list, m *specs.LinuxMemory) error {
	memory, both := value(m.Limit), value(m.Swap)
	swap := limit{"memory", "memory.swap.max", "", false}
	switch {
	case both == -1, memory == -1 && both == 0:
		swap.value, swap.optional = "max", true // without swap, there is nothing to unlimit
	case both == 0:
	case memory == -1:
		swap.value = strconv.FormatInt(both, 10)
	case memory <= 0:
		return errors.New("a limit of memory and swap together needs a limit of memory")
	case both < memory:
		return fmt.Errorf("memory and swap together are limited to %d bytes, less than memory alone with %d", both, memory)
	default:
		swap.value, swap.optional = strconv.FormatInt(both-memory, 10), both == memory
	}
	if swap.value != "" {
		l.add(swap)
	}
	bytesV2(l, "memory.max", memory)
	bytesV2(l, "memory.low", value(m.Reservation))
	return nil
}

func bytesV2(l *list, file string, n int64) {
	switch {
	case n < 0:
		l.add(limit{"memory", file, "max", false})
	case n > 0:
		l.add(limit{"memory", file, strconv.FormatInt(n, 10), false})
	}
}

func ioV2(l *list, b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	if b.Weight != nil && *b.Weight != 0 {
		// One of the two files is there, as the kernel was built; BFQ counts as v1 did.
		l.add(limit{"io", "io.bfq.weight", fmt.Sprint(*b.Weight), true})
		l.add(limit{"io", "io.weight", fmt.Sprint(1 + (uint64(max(*b.Weight, 10))-10)*9999/990), true})
	}
	for _, d := range b.WeightDevice {
		if d.Weight != nil {
			l.add(limit{"io", "io.bfq.weight", fmt.Sprintf("%d:%d %d", d.Major, d.Minor, *d.Weight), true})
		}
	}
	for key, devices := range throttles(b, "rbps", "wbps", "riops", "wiops") {
		for _, d := range devices {
			l.add(limit{"io", "io.max", fmt.Sprintf("%d:%d %s=%d", d.Major, d.Minor, key, d.Rate), false})
		}
	}
}

// value of what may not be set: 0.
func value[T int64 | uint64](p *T) int64 {
	if p == nil {
		return 0
	}
	return int64(*p)
}
