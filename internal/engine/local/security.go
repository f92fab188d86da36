package local

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/linux/caps"
	"github.com/dhow-project/dhow/internal/linux/seccomp"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func (e *Engine) security(s engine.Security) (spec.Security, error) {
	out := spec.Security{
		Privileged: s.Privileged, Add: s.AddCapabilities, Drop: s.DropCapabilities, NoNewPrivileges: s.NoNewPrivileges,
		AppArmor: s.AppArmor, SELinux: s.SELinuxLabel, Unmasked: s.UnmaskedProc, Masked: s.MaskedPaths, ReadOnly: s.ReadOnlyPaths,
	}
	for _, g := range s.SupplementalGroups {
		out.SupplementalGIDs = append(out.SupplementalGIDs, uint32(g))
	}
	var err error
	out.Seccomp, err = e.seccompProfile(s)
	return out, err
}

// seccompProfile is the default for everybody who did not ask for another. Privileged containers have none.
func (e *Engine) seccompProfile(s engine.Security) (*specs.LinuxSeccomp, error) {
	switch path, local := strings.CutPrefix(s.Seccomp, "localhost/"); {
	case s.Privileged, s.Seccomp == "unconfined":
		return nil, nil
	case s.Seccomp == "", s.Seccomp == "runtime/default":
		return e.defaultProfile(s.AddCapabilities), nil
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

// defaultProfile is one value for each set of added capabilities: the keeper's client compiles a value once.
func (e *Engine) defaultProfile(added []string) *specs.LinuxSeccomp {
	var names []string
	for _, c := range added {
		c = strings.ToUpper(c)
		if c == "ALL" {
			names = caps.Names()
			break
		}
		names = append(names, "CAP_"+strings.TrimPrefix(c, "CAP_"))
	}
	slices.Sort(names)
	key := strings.Join(names, " ")
	if p, ok := e.profiles.Load(key); ok {
		return p.(*specs.LinuxSeccomp)
	}
	p, _ := e.profiles.LoadOrStore(key, seccomp.Default(names))
	return p.(*specs.LinuxSeccomp)
}
