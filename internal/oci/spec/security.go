package spec

import (
	"fmt"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/linux/caps"
)

// defaultCapabilities are those of docker and containerd.
var defaultCapabilities = [...]string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"}

// capabilities: ALL is understood in both lists; adding wins over dropping ALL, dropping one over adding ALL.
func capabilities(in *Input, s *specs.Spec) error {
	have := slices.Clone(defaultCapabilities[:])
	sec := in.Security
	if sec.Privileged {
		have = caps.Names()
	}
	add, err := normal(sec.Add)
	if err != nil {
		return err
	}
	drop, err := normal(sec.Drop)
	if err != nil {
		return err
	}
	if slices.Contains(drop, "ALL") {
		have = nil
	}
	if slices.Contains(add, "ALL") {
		have = caps.Names()
	}
	for _, c := range add {
		if c != "ALL" && !slices.Contains(have, c) {
			have = append(have, c)
		}
	}
	have = slices.DeleteFunc(have, func(c string) bool { return slices.Contains(drop, c) })
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: have, Effective: have, Permitted: have}
	if uid := s.Process.User.UID; uid != 0 {
		// The kernel clears these for anybody but root at execve anyway; say so.
		s.Process.Capabilities.Effective, s.Process.Capabilities.Permitted = nil, nil
	}
	return nil
}

func normal(names []string) ([]string, error) {
	out := make([]string, 0, len(names))
	for _, n := range names {
		n = strings.ToUpper(n)
		if n == "ALL" {
			out = append(out, n)
			continue
		}
		if !strings.HasPrefix(n, "CAP_") {
			n = "CAP_" + n
		}
		if _, err := caps.Parse([]string{n}); err != nil {
			return nil, fmt.Errorf("capability %s: %w", n, err)
		}
		out = append(out, n)
	}
	return out, nil
}

func confinement(in *Input, s *specs.Spec) error {
	s.Process.NoNewPrivileges = in.Security.NoNewPrivileges
	s.Process.ApparmorProfile = in.Security.AppArmor
	s.Process.SelinuxLabel = in.Security.SELinux
	if !in.Security.Privileged {
		s.Linux.Seccomp = in.Security.Seccomp
	}
	return nil
}

var defaultMasked = [...]string{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
	"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"}

var defaultReadOnly = [...]string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

func paths(in *Input, s *specs.Spec) error {
	sec := in.Security
	if sec.Privileged || sec.Unmasked {
		return nil
	}
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = sec.Masked, sec.ReadOnly
	if sec.Masked == nil {
		s.Linux.MaskedPaths = slices.Clone(defaultMasked[:])
	}
	if sec.ReadOnly == nil {
		s.Linux.ReadonlyPaths = slices.Clone(defaultReadOnly[:])
	}
	return nil
}
