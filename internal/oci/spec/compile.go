package spec

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// rule adds its part to the configuration.
type rule func(*Input, *specs.Spec) error

// rules in the order in which they are applied.
var rules = [...]rule{
	command,
	environment,
	workingDir,
	user,
	terminal,
	root,
	hostname,
	namespaces,
	systemMounts,
	mounts,
	devices,
	resources,
	limits,
	sysctls,
	capabilities,
	confinement,
	paths,
	annotations,
}

// Compile makes the configuration. Its errors are Invalid.
func Compile(in Input) (*specs.Spec, error) {
	s := &specs.Spec{Version: specs.Version, Process: &specs.Process{}, Root: &specs.Root{}, Linux: &specs.Linux{}}
	for _, r := range rules {
		if err := r(&in, s); err != nil {
			return nil, fault.As(fault.Invalid, err)
		}
	}
	return s, nil
}
