package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// mountpoint is where hierarchies are by convention (cgroups(7)).
const mountpoint = "/sys/fs/cgroup"

// machine is what there is to make groups in.
type machine struct {
	v2    bool
	trees []tree // one on v2
	// furnish does what the kernel does in a new directory, where there is no kernel: in tests.
	furnish func(dir string)
}

// tree is one mounted hierarchy.
type tree struct {
	root        string
	controllers []string // v1: also "name=systemd"; empty for the unified one of a hybrid machine
}

func (t *tree) has(controller string) bool { return slices.Contains(t.controllers, controller) }

// trackers are the v1 hierarchies that a group is made in for what they tell and for what they hold together. The others
// are for limits alone: a group is made in them when it has such a limit.
var trackers = [...]string{"cpu", "cpuacct", "cpuset", "memory", "pids", "freezer"}

func (t *tree) wanted(r *specs.LinuxResources) bool {
	if len(t.controllers) == 0 {
		return true
	}
	for _, c := range t.controllers {
		if slices.Contains(trackers[:], c) || strings.HasPrefix(c, "name=") {
			return true
		}
	}
	switch {
	case r == nil:
		return false
	case t.has("devices"):
		return len(r.Devices) > 0
	case t.has("blkio"):
		return r.BlockIO != nil
	case t.has("hugetlb"):
		return len(r.HugepageLimits) > 0
	}
	return t.has("io") // v2
}

// dirs are all directories that a group may have.
func (m *machine) dirs(path string) []string {
	var out []string
	for _, t := range m.trees {
		out = append(out, filepath.Join(t.root, path))
	}
	return out
}

// find is the hierarchy of a controller.
func (m *machine) find(controller string) (*tree, error) {
	for i := range m.trees {
		if m.v2 || m.trees[i].has(controller) {
			return &m.trees[i], nil
		}
	}
	return nil, fault.New(fault.Unsupported, "this machine has no cgroup controller %q: mount it below %s", controller, mountpoint)
}

// host is this machine. What is mounted there does not change under a running system.
var host = sync.OnceValues(func() (*machine, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	defer f.Close()
	return detect(f, os.DirFS("/"))
})

// detect reads proc_pid_mountinfo(5), and on v2 the controllers of the root group.
func detect(mounts io.Reader, files fs.FS) (*machine, error) {
	m := new(machine)
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(place) < 5 || len(kind) < 3 {
			continue
		}
		at := place[4]
		switch {
		case kind[0] == "cgroup2" && at == mountpoint:
			raw, err := fs.ReadFile(files, strings.TrimPrefix(mountpoint+"/cgroup.controllers", "/"))
			if err != nil {
				return nil, fmt.Errorf("find cgroup controllers: %w", err)
			}
			return &machine{v2: true, trees: []tree{{root: at, controllers: strings.Fields(string(raw))}}}, nil
		case !strings.HasPrefix(at, mountpoint+"/"):
		case kind[0] == "cgroup2":
			m.add(tree{root: at})
		case kind[0] == "cgroup":
			m.add(tree{root: at, controllers: controllersOf(kind[2])})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	if len(m.trees) == 0 {
		return nil, fault.New(fault.Unsupported, "no cgroups on this machine: mount them at %s", mountpoint)
	}
	return m, nil
}

// add leaves out what is mounted a second time.
func (m *machine) add(t tree) {
	for _, have := range m.trees {
		if slices.Equal(have.controllers, t.controllers) {
			return
		}
	}
	m.trees = append(m.trees, t)
}

// options of a v1 mount that are no controllers.
var options = [...]string{"rw", "ro", "xattr", "clone_children", "noprefix", "none", "cpuset_v2_mode", "all"}

func controllersOf(superOptions string) []string {
	return slices.DeleteFunc(strings.Split(superOptions, ","), func(o string) bool {
		return slices.Contains(options[:], o) || strings.HasPrefix(o, "release_agent=")
	})
}
