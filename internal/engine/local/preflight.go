package local

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/cgroup"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// preflight asks the kernel for what nothing works without, before anything is made. Opening a file
// system loads its module where there is one.
func preflight() error {
	for _, fs := range []string{"overlay", "proc", "tmpfs", "mqueue"} {
		fd, err := unix.Fsopen(fs, unix.FSOPEN_CLOEXEC)
		switch {
		case err == nil:
			unix.Close(fd)
		case errors.Is(err, unix.ENOSYS):
			return fault.New(fault.Unsupported, "this kernel is too old: dhow needs 5.15 or newer")
		case errors.Is(err, unix.ENODEV) && fs != "mqueue":
			return fault.New(fault.Unsupported, "this kernel has no %s file system: load it with 'modprobe %s', or use a kernel that has it", fs, fs)
		}
	}
	return needControllers()
}

// needControllers looks for the cgroup controllers that limits need, in /proc/cgroups on v1 and in the root group on v2.
func needControllers() error {
	path := "/proc/cgroups"
	if cgroup.V2() {
		path = "/sys/fs/cgroup/cgroup.controllers"
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fault.New(fault.Unsupported, "no cgroups on this machine: mount them at /sys/fs/cgroup: %w", err)
	}
	have := map[string]bool{}
	for _, word := range strings.Fields(string(raw)) {
		have[word] = true
	}
	for _, c := range []string{"cpu", "memory", "pids"} {
		if !have[c] {
			return fault.New(fault.Unsupported, "the cgroup controller %q is not available: enable it on the kernel's command line (cgroup_enable=%s) and start again", c, c)
		}
	}
	return nil
}
