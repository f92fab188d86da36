package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// namespaces are the clone(2) flags that need CAP_SYS_ADMIN in the default profile.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// withCapability are the calls that a capability opens.
func withCapability() map[string][]string {
	return map[string][]string{
		"CAP_DAC_READ_SEARCH": {"open_by_handle_at"},
		"CAP_SYS_ADMIN": {"bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount", "mount_setattr",
			"move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare"},
		"CAP_SYS_BOOT":       {"reboot"},
		"CAP_SYS_CHROOT":     {"chroot"},
		"CAP_SYS_MODULE":     {"delete_module", "init_module", "finit_module"},
		"CAP_SYS_PACCT":      {"acct"},
		"CAP_SYS_PTRACE":     {"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"},
		"CAP_SYS_RAWIO":      {"iopl", "ioperm"},
		"CAP_SYS_TIME":       {"settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64"},
		"CAP_SYS_TTY_CONFIG": {"vhangup"},
		"CAP_SYS_NICE":       {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"},
		"CAP_SYSLOG":         {"syslog"},
		"CAP_BPF":            {"bpf"},
		"CAP_PERFMON":        {"perf_event_open"},
	}
}

// Default is the profile for a container with these bounding capabilities. The
// result is shared by nobody and may be changed.
func Default(capabilities []string) *specs.LinuxSeccomp {
	enosys := uint(unix.ENOSYS)
	eperm := uint(unix.EPERM)
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &eperm,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchAARCH64}}
	allow := func(names []string, args ...specs.LinuxSeccompArg) {
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: names, Action: specs.ActAllow, Args: args})
	}
	allow(words(defaultText))
	opens := withCapability()
	for _, c := range slices.Sorted(slices.Values(capabilities)) {
		if names := opens[c]; names != nil {
			allow(names)
		}
	}
	// Only what asks for the plain Linux personalities, their 32-bit forms, and the question which one it is.
	for _, v := range []uint64{0, 8, 0x20000, 0x20008, 0xffffffff} {
		allow([]string{"personality"}, specs.LinuxSeccompArg{Index: 0, Value: v, Op: specs.OpEqualTo})
	}
	// Any socket but vsock, which speaks to the hypervisor past every network policy.
	allow([]string{"socket"}, specs.LinuxSeccompArg{Index: 0, Value: unix.AF_VSOCK, Op: specs.OpNotEqual})
	if !slices.Contains(capabilities, "CAP_SYS_ADMIN") {
		allow([]string{"clone"}, specs.LinuxSeccompArg{Index: 0, Value: namespaces, ValueTwo: 0, Op: specs.OpMaskedEqual})
		// Its flags are in memory, out of a filter's sight. C libraries take ENOSYS as a reason to use clone.
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: &enosys})
	}
	return p
}
