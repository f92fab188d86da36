package local

import (
	"encoding/json"
	"os"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/linux/seccomp"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func security(s engine.Security) (spec.Security, error) {
	out := spec.Security{
		Privileged: s.Privileged, Add: s.AddCapabilities, Drop: s.DropCapabilities, NoNewPrivileges: s.NoNewPrivileges,
		AppArmor: s.AppArmor, SELinux: s.SELinuxLabel, Unmasked: s.UnmaskedProc, Masked: s.MaskedPaths, ReadOnly: s.ReadOnlyPaths,
	}
	for _, g := range s.SupplementalGroups {
		out.SupplementalGIDs = append(out.SupplementalGIDs, uint32(g))
	}
	var err error
	out.Seccomp, err = seccompProfile(s)
	return out, err
}

// seccompProfile is the default for everybody who did not ask for another.
func seccompProfile(s engine.Security) (*specs.LinuxSeccomp, error) {
	switch path, local := strings.CutPrefix(s.Seccomp, "localhost/"); {
	case s.Privileged && s.Seccomp == "", s.Seccomp == "unconfined":
		return nil, nil
	case s.Seccomp == "", s.Seccomp == "runtime/default":
		return seccomp.Default(s.AddCapabilities), nil
	case local:
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.New(fault.Invalid, "seccomp profile: %w", err)
		}
		var p specs.LinuxSeccomp
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, fault.New(fault.Invalid, "seccomp profile %s: %w", path, err)
		}
		return &p, nil
	}
	return nil, fault.New(fault.Invalid, "seccomp profile %q: use runtime/default, unconfined or localhost/PATH", s.Seccomp)
}
