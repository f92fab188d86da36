package spec

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// rule adds its part to the configuration.
type rule func(*Input, *specs.Spec) error

// process are the rules about what runs, in the order in which they are applied.
var process = [...]rule{
	command,
	environment,
	workingDir,
	user,
	terminal,
	limits,
	capabilities,
	confinement,
}

// room are those about where it runs.
var room = [...]rule{
	root,
	hostname,
	namespaces,
	systemMounts,
	mounts,
	devices,
	resources,
	sysctls,
	paths,
	annotations,
}

// Compile makes the configuration. Its errors are Invalid.
func Compile(in Input) (*specs.Spec, error) {
	s := &specs.Spec{Version: specs.Version, Process: &specs.Process{}, Root: &specs.Root{}, Linux: &specs.Linux{}}
	if err := apply(process[:], &in, s); err != nil {
		return nil, err
	}
	if err := apply(room[:], &in, s); err != nil {
		return nil, err
	}
	return s, nil
}

// CompileProcess makes one more process for a container: the part of its configuration that is not about its room. The
// profile is the one of its system calls. Its errors are Invalid.
func CompileProcess(in Input) (*specs.Process, *specs.LinuxSeccomp, error) {
	s := &specs.Spec{Process: &specs.Process{}, Linux: &specs.Linux{}}
	if err := apply(process[:], &in, s); err != nil {
		return nil, nil, err
	}
	return s.Process, s.Linux.Seccomp, nil
}

func apply(rules []rule, in *Input, s *specs.Spec) error {
	for _, r := range rules {
		if err := r(in, s); err != nil {
			return fault.As(fault.Invalid, err)
		}
	}
	return nil
}
