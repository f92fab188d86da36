package cgroup

import (
	"errors"
	"fmt"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// limitsV1 says what to write into v1 hierarchies (runtime-spec, config-linux.md, "Control groups").
func limitsV1(r *specs.LinuxResources) ([]limit, error) {
	if len(r.Unified) > 0 {
		return nil, errors.New("files of cgroup v2 cannot be set on this machine, which has cgroup v1")
	}
	devices, err := devicesV1(r.Devices)
	if err != nil {
		return nil, err
	}
	var l list
	l.items = devices
	if c := r.CPU; c != nil {
		number(&l, "cpu", "cpu.idle", c.Idle)
		number(&l, "cpu", "cpu.shares", c.Shares)
		number(&l, "cpu", "cpu.cfs_period_us", c.Period)
		number(&l, "cpu", "cpu.cfs_quota_us", c.Quota)
		number(&l, "cpu", "cpu.cfs_burst_us", c.Burst)
		number(&l, "cpu", "cpu.rt_period_us", c.RealtimePeriod)
		number(&l, "cpu", "cpu.rt_runtime_us", c.RealtimeRuntime)
		l.text("cpuset", "cpuset.cpus", c.Cpus)
		l.text("cpuset", "cpuset.mems", c.Mems)
	}
	if m := r.Memory; m != nil {
		memoryV1(&l, m)
	}
	pids(&l, r.Pids)
	hugepages(&l, r.HugepageLimits, "limit_in_bytes")
	blockIO(&l, r.BlockIO)
	return l.items, nil
}

func memoryV1(l *list, m *specs.LinuxMemory) {
	number(l, "memory", "memory.limit_in_bytes", m.Limit)
	switch {
	case m.Swap != nil && *m.Swap != 0:
		number(l, "memory", "memory.memsw.limit_in_bytes", m.Swap)
	case m.Limit != nil && *m.Limit == -1:
		// Without a limit of memory there is none of both together.
		l.add(limit{"memory", "memory.memsw.limit_in_bytes", "-1", true})
	}
	number(l, "memory", "memory.soft_limit_in_bytes", m.Reservation)
	if s := m.Swappiness; s != nil && int64(*s) != -1 {
		number(l, "memory", "memory.swappiness", s)
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		l.add(limit{"memory", "memory.oom_control", "1", false})
	}
}

func blockIO(l *list, b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	number(l, "blkio", "blkio.bfq.weight", b.Weight)
	l.lastOptional()
	number(l, "blkio", "blkio.weight", b.Weight)
	l.lastOptional()
	number(l, "blkio", "blkio.leaf_weight", b.LeafWeight)
	for _, d := range b.WeightDevice {
		if d.Weight != nil {
			l.add(limit{"blkio", "blkio.bfq.weight_device", fmt.Sprintf("%d:%d %d", d.Major, d.Minor, *d.Weight), true})
			l.add(limit{"blkio", "blkio.weight_device", fmt.Sprintf("%d:%d %d", d.Major, d.Minor, *d.Weight), true})
		}
		if d.LeafWeight != nil {
			l.add(limit{"blkio", "blkio.leaf_weight_device", fmt.Sprintf("%d:%d %d", d.Major, d.Minor, *d.LeafWeight), false})
		}
	}
	for file, devices := range throttles(b, "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
		"blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device") {
		for _, d := range devices {
			l.add(limit{"blkio", file, fmt.Sprintf("%d:%d %d", d.Major, d.Minor, d.Rate), false})
		}
	}
}

// throttles goes through the four kinds in order, under the names given.
func throttles(b *specs.LinuxBlockIO, names ...string) func(func(string, []specs.LinuxThrottleDevice) bool) {
	kinds := [][]specs.LinuxThrottleDevice{b.ThrottleReadBpsDevice, b.ThrottleWriteBpsDevice, b.ThrottleReadIOPSDevice, b.ThrottleWriteIOPSDevice}
	return func(yield func(string, []specs.LinuxThrottleDevice) bool) {
		for i, k := range kinds {
			if !yield(names[i], k) {
				return
			}
		}
	}
}

// list collects limits.
type list struct{ items []limit }

func (l *list) add(n limit) { l.items = append(l.items, n) }

func (l *list) text(controller, file, value string) {
	if value != "" {
		l.add(limit{controller, file, value, false})
	}
}

// lastOptional is for what was added last, if anything was.
func (l *list) lastOptional() {
	if n := len(l.items); n > 0 {
		l.items[n-1].optional = true
	}
}

// number leaves out what is not set: nil, and 0 where the runtime's callers mean nothing by it.
func number[T ~int64 | ~uint64 | ~uint16](l *list, controller, file string, v *T) {
	if v == nil || *v == 0 && file != "cpu.idle" {
		return
	}
	l.add(limit{controller, file, fmt.Sprint(*v), false})
}

// pids: 0 cannot be meant, since there is the first process; less is no limit.
func pids(l *list, p *specs.LinuxPids) {
	if p == nil || p.Limit == nil {
		return
	}
	value := "max"
	if *p.Limit >= 0 {
		value = strconv.FormatInt(max(*p.Limit, 1), 10)
	}
	l.add(limit{"pids", "pids.max", value, false})
}

// hugepages limits reservations, too, where the kernel counts them.
func hugepages(l *list, limits []specs.LinuxHugepageLimit, suffix string) {
	for _, h := range limits {
		value := strconv.FormatUint(h.Limit, 10)
		l.add(limit{"hugetlb", "hugetlb." + h.Pagesize + "." + suffix, value, false})
		l.add(limit{"hugetlb", "hugetlb." + h.Pagesize + ".rsvd." + suffix, value, true})
	}
}
