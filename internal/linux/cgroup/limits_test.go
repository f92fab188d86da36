package cgroup

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// What callers ask for, and the files that say so, in the order they are written.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      specs.LinuxResources
		v1, v2 string
	}{
		{"nothing", specs.LinuxResources{}, "", ""},
		{"unset", specs.LinuxResources{CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{Limit: ptr(int64(0))}, Pids: &specs.LinuxPids{}}, "", ""},
		{"cpu", specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(2)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Cpus: "0-1", Mems: "0"}},
			"cpu.shares=2 cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 cpuset.cpus=0-1 cpuset.mems=0",
			"cpu.weight=1 cpu.max=50000_100000 cpuset.cpus=0-1 cpuset.mems=0"},
		{"no quota", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(-1)), Idle: ptr(int64(0)), Burst: ptr(uint64(9))}},
			"cpu.idle=0 cpu.cfs_quota_us=-1 cpu.cfs_burst_us=9", "cpu.idle=0 cpu.max.burst=9 cpu.max=max_100000"},
		{"memory", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(100)), Reservation: ptr(int64(50)), Swap: ptr(int64(150))}},
			"memory.limit_in_bytes=100 memory.memsw.limit_in_bytes=150 memory.soft_limit_in_bytes=50",
			"memory.swap.max=50 memory.max=100 memory.low=50"},
		{"no swap", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(100)), Swap: ptr(int64(100))}},
			"memory.limit_in_bytes=100 memory.memsw.limit_in_bytes=100", "memory.swap.max=0? memory.max=100"},
		{"no limit", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(-1))}},
			"memory.limit_in_bytes=-1 memory.memsw.limit_in_bytes=-1?", "memory.swap.max=max? memory.max=max"},
		{"pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(10))}}, "pids.max=10", "pids.max=10"},
		{"no pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(-1))}}, "pids.max=max", "pids.max=max"},
		{"hugepages", specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4}}},
			"hugetlb.2MB.limit_in_bytes=4 hugetlb.2MB.rsvd.limit_in_bytes=4?", "hugetlb.2MB.max=4 hugetlb.2MB.rsvd.max=4?"},
		{"io", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(1000)),
			ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{{Rate: 7}}, ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{{Rate: 8}}}},
			"blkio.bfq.weight=1000? blkio.weight=1000? blkio.throttle.read_bps_device=0:0_7 blkio.throttle.write_iops_device=0:0_8",
			"io.bfq.weight=1000? io.weight=10000? io.max=0:0_rbps=7 io.max=0:0_wiops=8"},
		{"unified", specs.LinuxResources{Unified: map[string]string{"memory.high": "1", "cpu.uclamp.max": "2"}},
			"error: files of cgroup v2 cannot be set on this machine, which has cgroup v1", "cpu.uclamp.max=2 memory.high=1"},
		{"bad file", specs.LinuxResources{Unified: map[string]string{"../x.y": "1"}},
			"error: files of cgroup v2 cannot be set on this machine, which has cgroup v1", `error: cgroup file "../x.y": it has no name like memory.high`},
		{"devices", specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Access: "m"},
			{Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(3))}}},
			"devices.deny=a devices.allow=c_*:*_m devices.allow=c_1:3_rwm", ""},
	} {
		if diff := cmp.Diff(c.v1, said(limitsV1(&c.r))); diff != "" {
			t.Errorf("%s, v1: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.v2, said(limitsV2(&c.r))); diff != "" {
			t.Errorf("%s, v2: %s", c.name, diff)
		}
	}
}

// said writes limits down: "?" for one that may be missing, "_" for a space.
func said(l []limit, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var out []string
	for _, x := range l {
		s := fmt.Sprintf("%s=%s", x.file, strings.ReplaceAll(x.value, " ", "_"))
		if x.optional {
			s += "?"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestWeight(t *testing.T) {
	for shares, want := range map[uint64]uint64{1: 1, 2: 1, 512: 59, 1024: 100, 2048: 174, 262144: 10000, 1 << 40: 10000} {
		if got := weight(shares); got != want {
			t.Errorf("%d shares weigh %d, want %d", shares, got, want)
		}
	}
}
