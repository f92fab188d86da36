// Package seccomp compiles runtime-spec seccomp profiles to BPF programs, in
// Go alone, and has the default profile as data (default.txt, numbers.txt).
//
// It does not install programs. Read seccomp.go first, then assemble.go.
package seccomp

import (
	"runtime"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Compile makes a profile a program (struct sock_filter[]) and flags for seccomp(2). Names that an
// architecture does not have are left out. The first rule that matches a call decides; calls newer than all
// that the profile names get ENOSYS where the default is an error, so that C libraries fall back. Its errors are Invalid or Unsupported.
func Compile(p *specs.LinuxSeccomp) (program []byte, flags uint32, err error) {
	def, err := action(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range p.Flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case "SECCOMP_FILTER_FLAG_TSYNC":
		default:
			return nil, 0, fault.New(fault.Unsupported, "seccomp flag %s is not supported", f)
		}
	}
	rules, err := parse(p)
	if err != nil {
		return nil, 0, err
	}
	a := &assembler{}
	for _, arch := range archesOf(p) {
		if err := a.section(arch, rules, def); err != nil {
			return nil, 0, err
		}
	}
	a.ret(unix.SECCOMP_RET_KILL_PROCESS) // an architecture that the profile does not know
	program, err = a.bytes()
	return program, flags, err
}

// rule is one runtime-spec rule with its action as a return value.
type rule struct {
	names  []string
	action uint32
	// any of these, each a set of conditions that all hold
	cases [][]specs.LinuxSeccompArg
}

func parse(p *specs.LinuxSeccomp) ([]rule, error) {
	rules := make([]rule, 0, len(p.Syscalls))
	for _, s := range p.Syscalls {
		act, err := action(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, err
		}
		for _, a := range s.Args {
			if a.Index > 5 {
				return nil, fault.New(fault.Invalid, "seccomp rule for %v: a system call has no argument %d", s.Names, a.Index)
			}
		}
		rules = append(rules, rule{s.Names, act, casesOf(s.Args)})
	}
	return rules, nil
}

// casesOf follows runc: conditions on the same argument are alternatives, else all must hold.
func casesOf(args []specs.LinuxSeccompArg) [][]specs.LinuxSeccompArg {
	if len(args) == 0 {
		return nil
	}
	seen := map[uint]bool{}
	twice := false
	for _, a := range args {
		twice = twice || seen[a.Index]
		seen[a.Index] = true
	}
	if !twice {
		return [][]specs.LinuxSeccompArg{args}
	}
	var out [][]specs.LinuxSeccompArg
	for _, a := range args {
		out = append(out, []specs.LinuxSeccompArg{a})
	}
	return out
}

func action(a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(unix.EPERM)
	if errno != nil {
		data = uint32(*errno) & 0xfff
	}
	switch a {
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | data, nil
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | data, nil
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, nil
	case specs.ActNotify:
		return 0, fault.New(fault.Unsupported, "seccomp action %s is not supported", a)
	}
	return 0, fault.New(fault.Invalid, "unknown seccomp action %q", a)
}

// arch is an architecture that calls may come from.
type arch struct {
	audit  uint32
	column int // in numbers.txt
	x32    bool
}

// archesOf are those of the profile that this machine has; its own always.
func archesOf(p *specs.LinuxSeccomp) []arch {
	if runtime.GOARCH == "arm64" {
		return []arch{{unix.AUDIT_ARCH_AARCH64, 2, false}}
	}
	out := []arch{{unix.AUDIT_ARCH_X86_64, 0, true}}
	if slices.Contains(p.Architectures, specs.ArchX86) {
		out = append(out, arch{unix.AUDIT_ARCH_I386, 1, false})
	}
	return out
}
