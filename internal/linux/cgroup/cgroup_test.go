package cgroup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/linux/linuxtest"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// fakeV2 is a directory that behaves as the kernel does: a new group has the files of the controllers
// that its parent has turned on.
func fakeV2(t *testing.T, controllers ...string) *machine {
	t.Helper()
	root := t.TempDir()
	files := map[string][]string{"cpu": {"cpu.weight", "cpu.max"}, "memory": {"memory.max", "memory.low", "memory.swap.max"}, "pids": {"pids.max"}}
	put(t, root, "cgroup.controllers", strings.Join(controllers, " "))
	put(t, root, subtree, "")
	return &machine{v2: true, trees: []tree{{root: root, controllers: controllers}}, furnish: func(dir string) {
		put(t, dir, subtree, "")
		on, err := read(filepath.Dir(dir), subtree)
		if err != nil {
			t.Error(err)
		}
		put(t, dir, "cgroup.controllers", strings.ReplaceAll(on, "+", ""))
		// The kernel lets a parent turn a controller on later, too: its file is always there for the test's eyes.
		for _, c := range controllers {
			for _, f := range files[c] {
				put(t, dir, f, "")
			}
		}
	}}
}

func fakeV1(t *testing.T) *machine {
	t.Helper()
	root := t.TempDir()
	m := &machine{furnish: func(dir string) {
		for _, f := range []string{"cpu.shares", "cpuset.cpus", "cpuset.mems", "cgroup.clone_children", "memory.limit_in_bytes", "pids.max", "devices.allow", "devices.deny"} {
			put(t, dir, f, "")
		}
	}}
	for _, name := range []string{"cpu,cpuacct", "cpuset", "memory", "pids", "freezer", "devices", "blkio", "name=systemd", ""} {
		dir := filepath.Join(root, "h-"+name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "cpuset.cpus", "0-3")
		put(t, dir, "cpuset.mems", "0")
		m.trees = append(m.trees, tree{root: dir, controllers: slices.DeleteFunc(strings.Split(name, ","), func(s string) bool { return s == "" })})
	}
	return m
}

func put(t *testing.T, dir, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

func want(t *testing.T, dir, file, text string) {
	t.Helper()
	if got, err := read(dir, file); err != nil || got != text {
		t.Errorf("%s/%s is %q (%v), want %q", dir, file, got, err, text)
	}
}

func limited(memory int64) *specs.LinuxResources {
	shares := uint64(1024)
	return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &memory}, CPU: &specs.LinuxCPU{Shares: &shares}}
}

func TestCreateV2(t *testing.T) {
	m := fakeV2(t, "cpu", "memory", "pids")
	dirs, err := m.create("/dhow/pods/one", limited(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	root := m.trees[0].root
	one := filepath.Join(root, "dhow/pods/one")
	if diff := cmp.Diff([]string{one}, dirs); diff != "" {
		t.Fatal(diff)
	}
	for _, parent := range []string{"", "dhow", "dhow/pods"} {
		want(t, filepath.Join(root, parent), subtree, "+cpu +memory +pids")
	}
	want(t, one, subtree, "") // nobody is below it: a group with processes may not turn any on
	want(t, one, "memory.max", "1048576")
	want(t, one, "cpu.weight", "100")
	if _, err := m.create("/dhow/pods/one", limited(2<<20)); err != nil {
		t.Fatalf("create again: %v", err)
	}
	want(t, one, "memory.max", "2097152")
}

// A process that is killed between making a group and turning its controllers on leaves one without: the next one repairs it.
func TestCreateV2AfterCrash(t *testing.T) {
	m := fakeV2(t, "cpu", "memory")
	root := m.trees[0].root
	if err := m.mkdir(filepath.Join(root, "dhow")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.create("/dhow/pods/one", limited(1<<20)); err != nil {
		t.Fatal(err)
	}
	want(t, root, subtree, "+cpu +memory")
	want(t, filepath.Join(root, "dhow"), subtree, "+cpu +memory")
	want(t, filepath.Join(root, "dhow/pods"), subtree, "+cpu +memory")
}

func TestCreateV2WithoutController(t *testing.T) {
	m := fakeV2(t, "cpu")
	if _, err := m.create("/dhow", limited(1<<20)); err == nil || !strings.Contains(err.Error(), "memory.max") {
		t.Errorf("a limit that nobody keeps: %v", err)
	}
}

func TestCreateV1(t *testing.T) {
	m := fakeV1(t)
	r := limited(1 << 20)
	r.Devices = []specs.LinuxDeviceCgroup{{Allow: false}}
	dirs, err := m.create("/dhow/one", r)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range dirs {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(d, filepath.Dir(m.trees[0].root)+"/h-"), "/dhow/one"))
	}
	if diff := cmp.Diff([]string{"", "cpu,cpuacct", "cpuset", "devices", "freezer", "memory", "name=systemd", "pids"}, names); diff != "" {
		t.Error(diff)
	}
	sets := m.trees[1].root
	want(t, filepath.Join(sets, "dhow"), "cgroup.clone_children", "1")
	for _, d := range []string{"dhow", "dhow/one"} {
		want(t, filepath.Join(sets, d), "cpuset.cpus", "0-3")
		want(t, filepath.Join(sets, d), "cpuset.mems", "0")
	}
	want(t, filepath.Join(m.trees[2].root, "dhow/one"), "memory.limit_in_bytes", "1048576")
	want(t, filepath.Join(m.trees[5].root, "dhow/one"), "devices.deny", "a")
}

func TestDetect(t *testing.T) {
	const v2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
	const hybrid = `31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro
32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 31 0:30 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:31 / /sys/fs/cgroup/other rw - cgroup cgroup rw,cpu,cpuacct
36 31 0:32 / /elsewhere rw - cgroup cgroup rw,memory
`
	files := fstest.MapFS{"sys/fs/cgroup/cgroup.controllers": {Data: []byte("cpu io memory\n")}}
	for name, c := range map[string]struct {
		mounts string
		want   machine
	}{
		"v2": {v2, machine{v2: true, trees: []tree{{mountpoint, []string{"cpu", "io", "memory"}}}}},
		"hybrid": {hybrid, machine{trees: []tree{{root: mountpoint + "/unified"},
			{mountpoint + "/systemd", []string{"name=systemd"}}, {mountpoint + "/cpu,cpuacct", []string{"cpu", "cpuacct"}}}}},
	} {
		got, err := detect(strings.NewReader(c.mounts), files)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(&c.want, got, cmp.AllowUnexported(machine{}, tree{}), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "furnish" }, cmp.Ignore())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := detect(strings.NewReader(""), files); !fault.Is(err, fault.Unsupported) {
		t.Errorf("no cgroups: %v", err)
	}
}

func TestUsage(t *testing.T) {
	want := Usage{CPU: 1500000, MemoryUsage: 4096, WorkingSet: 4000, RSS: 100, MemoryLimit: 8192, PageFaults: 3, MajorPageFaults: 1, Pids: 2, OOMKills: 5}
	for name, files := range map[string]map[string]string{
		"v2": {"cpu.stat": "usage_usec 1500\nuser_usec 1\n", "memory.current": "4096\n", "memory.max": "8192\n", "memory.events": "oom 6\noom_kill 5\n",
			"memory.stat": "anon 100\ninactive_file 96\npgfault 3\npgmajfault 1\n", "pids.current": "2\n"},
		"v1": {"cpuacct.usage": "1500000\n", "memory.usage_in_bytes": "4096\n", "memory.limit_in_bytes": "8192\n", "memory.oom_control": "oom_kill_disable 0\noom_kill 5\n",
			"memory.stat": "rss 1\ninactive_file 1\ntotal_rss 100\ntotal_inactive_file 96\ntotal_pgfault 3\ntotal_pgmajfault 1\n", "pids.current": "2\n"},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "g"), 0o755); err != nil {
			t.Fatal(err)
		}
		for f, text := range files {
			put(t, filepath.Join(dir, "g"), f, text)
		}
		m := &machine{v2: name == "v2", trees: []tree{{root: dir, controllers: []string{"cpu", "cpuacct", "memory", "pids"}}}}
		got, err := m.usage("/g")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got.Time = want.Time
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// The kernel of the machine that the test runs on, whichever version it has.
func TestRealGroup(t *testing.T) {
	linuxtest.Root(t)
	const path = "/dhow-cgroup-test/a/b"
	t.Cleanup(func() {
		if err := Remove("/dhow-cgroup-test"); err != nil {
			t.Error(err)
		}
	})
	r := limited(64 << 20)
	pids, both := int64(7), int64(64<<20)
	r.Pids, r.Memory.Swap = &specs.LinuxPids{Limit: &pids}, &both
	r.Devices = []specs.LinuxDeviceCgroup{{Allow: false}}
	for range 2 {
		dirs, err := Create(path, r)
		if err != nil {
			t.Fatal(err)
		}
		if len(dirs) == 0 {
			t.Fatal("no directories")
		}
	}
	u, err := Stats(path)
	if err != nil || u.MemoryLimit != 64<<20 {
		t.Fatalf("stats: %+v, %v", u, err)
	}
	// Up past the limit of both, down again, and away: the order of files differs each time.
	for _, limit := range []int64{128 << 20, 32 << 20, -1} {
		if err := Set(path, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &limit}}); err != nil {
			t.Fatalf("set %d: %v", limit, err)
		}
		if u, err = Stats(path); err != nil || u.MemoryLimit != uint64(max(limit, 0)) {
			t.Errorf("limit %d became %d (%v)", limit, u.MemoryLimit, err)
		}
	}
	for range 2 {
		if err := Remove("/dhow-cgroup-test"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Stats(path); !fault.Is(err, fault.NotFound) {
		t.Errorf("stats of what is removed: %v", err)
	}
	if err := RemoveDirs(context.Background(), []string{mountpoint + "/memory" + path}); err != nil {
		t.Error(err)
	}
	if _, err := Create("/a/../b", nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a path that leaves: %v", err)
	}
}

func BenchmarkCreateRemove(b *testing.B) {
	linuxtest.Root(b)
	r := limited(64 << 20)
	r.Devices = []specs.LinuxDeviceCgroup{{Allow: false}}
	defer Remove("/dhow-cgroup-bench")
	for b.Loop() {
		dirs, err := Create("/dhow-cgroup-bench/one", r)
		if err != nil {
			b.Fatal(err)
		}
		if err := RemoveDirs(b.Context(), dirs); err != nil {
			b.Fatal(err)
		}
	}
}
