package launch

import (
	"fmt"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/mount"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Plan is what will be done, in order.
type Plan struct {
	// Steps run on the thread, before there is a process.
	Steps []Step
	// Late steps run in the process, because they need its pid namespace.
	Late []LateStep
	// Clone are CLONE_NEW* flags for the process itself.
	Clone uint64
	// Unshare are CLONE_NEW* flags that it unshares first.
	Unshare int
	User    bool // it gets a user namespace
}

// Step is one thing to do; String is its line in a golden file and its name in an error.
type Step interface {
	fmt.Stringer
	do(*room) error
}

// LateStep adds system calls to the process's table.
type LateStep interface {
	fmt.Stringer
	add(*room, *late)
}

// Compile makes the plan for a container. Its errors are Invalid.
func Compile(c *proto.Container) (*Plan, error) {
	s := c.Spec
	if s == nil || s.Process == nil || s.Root == nil || s.Linux == nil {
		return nil, fault.New(fault.Invalid, "spec has no process, root or linux part")
	}
	if len(s.Process.Args) == 0 && !c.Init {
		return nil, fault.New(fault.Invalid, "spec has no command")
	}
	if !path.IsAbs(s.Process.Cwd) {
		return nil, fault.New(fault.Invalid, "working directory %q is not absolute", s.Process.Cwd)
	}
	if names := hooks(s.Hooks); len(names) > 0 {
		return nil, fault.New(fault.Unsupported, "hooks are not run: take %s out of the bundle, or use a runtime that runs them", strings.Join(names, " and "))
	}
	switch s.Linux.RootfsPropagation {
	case "", "private", "rprivate":
	default:
		return nil, fault.New(fault.Unsupported, "root propagation %q is not supported: the root of a container is private", s.Linux.RootfsPropagation)
	}
	p := new(Plan)
	p.add(joinCgroup{c.Cgroups})
	if err := p.namespaces(s); err != nil {
		return nil, err
	}
	p.hostname(s)
	p.sysctls(s)
	if err := p.mounts(c); err != nil {
		return nil, err
	}
	p.devices(c)
	p.paths(s)
	p.add(makeCwd{s.Process.Cwd})
	p.add(resolveUser{c.User, c.Group, c.StrictGroups})
	if s.Root.Readonly {
		p.add(readOnlyRoot{})
	}
	p.add(pivot{})
	return p, nil
}

// hooks names those that somebody expects to be run (runtime-spec, "POSIX-platform Hooks"). A container that lacks what they
// would have done must not start.
func hooks(h *specs.Hooks) (names []string) {
	if h == nil {
		return nil
	}
	for _, k := range []struct {
		name  string
		hooks []specs.Hook
	}{{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime}, {"createContainer", h.CreateContainer}, //nolint:staticcheck // prestart is deprecated, and refused too
		{"startContainer", h.StartContainer}, {"poststart", h.Poststart}, {"poststop", h.Poststop}} {
		if len(k.hooks) > 0 {
			names = append(names, k.name)
		}
	}
	return names
}

func (p *Plan) add(s ...Step) { p.Steps = append(p.Steps, s...) }

// namespaces joins those given by path, then makes the others.
func (p *Plan) namespaces(s *specs.Spec) error {
	var unshare int
	hasMount := false
	for _, n := range s.Linux.Namespaces {
		flag, ok := nsFlags[n.Type]
		if !ok {
			return fault.New(fault.Invalid, "unknown namespace type %q", n.Type)
		}
		switch {
		case n.Type == specs.MountNamespace && n.Path != "":
			return fault.New(fault.Unsupported, "joining a mount namespace by path is not supported")
		case n.Type == specs.MountNamespace:
			hasMount = true
		case n.Type == specs.UserNamespace:
			p.User = true
			p.add(userNS{n.Path, s.Linux.UIDMappings, s.Linux.GIDMappings})
		case n.Path != "":
			p.add(joinNS{n.Type, n.Path})
		case n.Type == specs.PIDNamespace:
			p.Clone |= uint64(flag)
		case n.Type == specs.CgroupNamespace:
			p.Unshare |= flag
		default:
			unshare |= flag
		}
	}
	if !hasMount {
		return fault.New(fault.Unsupported, "a container without a mount namespace of its own is not supported")
	}
	if unshare != 0 {
		p.add(newNS{unshare})
	}
	return nil
}

var nsFlags = map[specs.LinuxNamespaceType]int{
	specs.PIDNamespace: unix.CLONE_NEWPID, specs.NetworkNamespace: unix.CLONE_NEWNET,
	specs.MountNamespace: unix.CLONE_NEWNS, specs.IPCNamespace: unix.CLONE_NEWIPC,
	specs.UTSNamespace: unix.CLONE_NEWUTS, specs.UserNamespace: unix.CLONE_NEWUSER,
	specs.CgroupNamespace: unix.CLONE_NEWCGROUP, specs.TimeNamespace: unix.CLONE_NEWTIME,
}

func (p *Plan) hostname(s *specs.Spec) {
	if s.Hostname != "" {
		p.add(setHostname{s.Hostname})
	}
	if s.Domainname != "" {
		p.add(setDomainname{s.Domainname})
	}
}

func (p *Plan) sysctls(s *specs.Spec) {
	for _, k := range sortedKeys(s.Linux.Sysctl) {
		p.add(setSysctl{k, s.Linux.Sysctl[k]})
	}
}

// mounts opens every source while the host's tree is still there, then builds
// the container's. What lies below a late mount is late as well.
func (p *Plan) mounts(c *proto.Container) error {
	s := c.Spec
	var early, layers []Step
	var late []string
	for i, m := range s.Mounts {
		if !path.IsAbs(m.Destination) {
			return fault.New(fault.Invalid, "mount target %q is not absolute", m.Destination)
		}
		dst := path.Clean(m.Destination)
		if dst == "/" {
			return fault.New(fault.Invalid, "a mount on the root directory is not possible")
		}
		o := mount.ParseOptions(m.Options)
		isLate := m.Type == "proc" || below(dst, late)
		switch {
		case m.Type == "bind" || o.Bind:
			p.add(openBind{i, m.Source, o, m.UIDMappings, m.GIDMappings})
		case m.Type == "overlay" && layersOf(o) != nil:
			layers = append(layers, openLayers{i, layersOf(o), o})
		case m.Type == "cgroup" || m.Type == "cgroup2":
			early = append(early, mountCgroups{dst, c.Cgroups, o})
			continue
		case m.Type == "proc":
			late = append(late, dst)
			early = append(early, makeTarget{dst, false})
			p.Late = append(p.Late, mountProc{dst, o})
			continue
		case isLate:
			early = append(early, newFS{i, m.Type, m.Source, o})
		default:
			early = append(early, mountFS{dst, m.Type, m.Source, o})
			continue
		}
		if isLate {
			p.Late = append(p.Late, moveLate{i, dst})
		} else {
			early = append(early, moveTo{i, dst})
		}
	}
	masked := 0
	for _, m := range s.Linux.MaskedPaths {
		m = path.Clean("/" + m)
		p.add(openMask{masked, m})
		p.Late = append(p.Late, mask{masked, m})
		masked++
	}
	p.add(ownMounts{})
	p.add(layers...)
	p.add(mountRoot{s.Root.Path, c.Overlay})
	p.add(early...)
	return nil
}

func (p *Plan) paths(s *specs.Spec) {
	for _, r := range s.Linux.ReadonlyPaths {
		p.Late = append(p.Late, readOnly{path.Clean("/" + r)})
	}
}

// devices fills /dev when it is a file system of our own.
func (p *Plan) devices(c *proto.Container) {
	for _, m := range c.Spec.Mounts {
		if path.Clean(m.Destination) != "/dev" || m.Type != "tmpfs" {
			continue
		}
		for _, d := range standardDevices {
			p.add(makeDevice{d, 0o666})
		}
		for _, d := range c.Spec.Linux.Devices {
			mode := uint32(0o666)
			if d.FileMode != nil {
				mode = uint32(d.FileMode.Perm())
			}
			p.add(makeDevice{d, mode})
		}
		p.add(devLinks{})
		if c.TTY {
			p.add(openConsole{c.Spec.Process.ConsoleSize}, bindConsole{})
		}
		return
	}
	if c.TTY {
		p.add(openConsole{c.Spec.Process.ConsoleSize})
	}
}

// standardDevices are those every container has (runtime-spec config-linux.md, default devices).
var standardDevices = []specs.LinuxDevice{
	{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
	{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
	{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
	{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
	{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
	{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
}

func below(p string, dirs []string) bool {
	for _, d := range dirs {
		if p == d || strings.HasPrefix(p, d+"/") {
			return true
		}
	}
	return false
}
