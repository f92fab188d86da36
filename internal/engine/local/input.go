package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/linux/ns"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// input translates a container's config into what the spec compiler wants.
func (e *Engine) input(ctx context.Context, c *container, s engine.Sandbox, im image.Image) (spec.Input, error) {
	r := c.view()
	in, err := e.processInput(r.Config, s, im)
	if err != nil {
		return in, err
	}
	in.ReadOnlyRoot = r.Config.Security.ReadOnlyRoot
	in.Resources, in.CgroupPath = linuxResources(r.Config.Resources), e.containerCgroup(s.Config, r.ID)
	in.Annotations = r.Config.Annotations
	if in.Namespaces, err = e.namespaces(ctx, r.Config, s); err != nil {
		return in, err
	}
	if s.Config.Network != engine.Host {
		in.Sysctls = s.Config.Sysctls
	}
	if in.Devices, err = e.devices(r.Config, s.Config); err != nil {
		return in, err
	}
	in.Mounts, err = e.mounts(r.Config, s)
	return in, err
}

// processInput is the part that every process of the container shares.
func (e *Engine) processInput(conf engine.ContainerConfig, s engine.Sandbox, im image.Image) (spec.Input, error) {
	in := spec.Input{
		Image:   imageDefaults(im),
		Command: conf.Command, Args: conf.Args, Env: conf.Env, WorkingDir: conf.WorkingDir,
		Hostname: s.Config.Hostname, TTY: conf.TTY,
		Rlimits: rlimits(conf.Resources), OOMScoreAdj: conf.Resources.OOMScoreAdj,
	}
	var err error
	in.Security, err = e.security(conf.Security)
	return in, err
}

func imageDefaults(im image.Image) spec.Image {
	if im.Config == nil {
		return spec.Image{}
	}
	c := im.Config.Config
	return spec.Image{Entrypoint: c.Entrypoint, Cmd: c.Cmd, Env: c.Env, WorkingDir: c.WorkingDir, User: c.User}
}

// userOf is the user a container runs as, in docker's words; the keeper resolves names.
func userOf(c engine.ContainerConfig, im image.Image) string {
	if c.Security.User != "" || im.Config == nil {
		return c.Security.User
	}
	return im.Config.Config.User
}

func (e *Engine) containerCgroup(s engine.SandboxConfig, id string) string {
	return e.cgroup(filepath.Join(s.CgroupParent, id))
}

func (e *Engine) namespaces(ctx context.Context, c engine.ContainerConfig, s engine.Sandbox) (spec.Namespaces, error) {
	n := spec.Namespaces{Net: s.NetNS, IPC: ns.Path(e.nsDir(s.ID), ns.IPC), UTS: ns.Path(e.nsDir(s.ID), ns.UTS)}
	if s.Config.Network == engine.Host {
		n.Net, n.UTS = spec.Host, spec.Host
	}
	if s.Config.IPC == engine.Host {
		n.IPC = spec.Host
	}
	if u := s.Config.User; u != nil {
		n.User = ns.Path(e.nsDir(s.ID), ns.User)
		n.UIDs = []specs.LinuxIDMapping{{ContainerID: 0, HostID: u.HostID, Size: u.Length}}
		n.GIDs = n.UIDs
	}
	mode := c.PID
	if mode == engine.Own {
		mode = s.Config.PID
	}
	var err error
	switch mode {
	case engine.Own:
	case engine.Shared:
		n.PID, err = e.pidNamespace(ctx, s.ID)
	case engine.Host:
		n.PID = spec.Host
	case engine.Target:
		target, err := e.container(c.PIDTarget)
		if err != nil {
			return n, err
		}
		n.PID = fmt.Sprintf("/proc/%d/ns/pid", target.view().PID)
	default:
		err = fault.New(fault.Invalid, "PID namespace %q", mode)
	}
	return n, err
}

// mounts are the caller's, and the files that the sandbox has for every container unless the caller brings its own.
func (e *Engine) mounts(c engine.ContainerConfig, s engine.Sandbox) ([]spec.Mount, error) {
	var out []spec.Mount
	taken := map[string]bool{}
	for _, m := range c.Mounts {
		taken[filepath.Clean(m.Target)] = true
		sm, err := e.mount(m)
		if err != nil {
			return nil, err
		}
		out = append(out, sm)
	}
	for _, name := range []string{"resolv.conf", "hostname", "hosts"} {
		source, target := filepath.Join(e.sandboxDir(s.ID), name), "/etc/"+name
		if _, err := os.Stat(source); err == nil && !taken[target] {
			out = append(out, spec.Mount{Source: source, Target: target, ReadOnly: c.Security.ReadOnlyRoot, MapIDs: s.Config.User != nil})
		}
	}
	if !taken["/dev/shm"] {
		out = append(out, spec.Mount{Source: e.shmSource(s), Target: "/dev/shm", Options: []string{"nosuid", "nodev", "noexec"}, MapIDs: s.Config.User != nil})
	}
	return out, nil
}

func (e *Engine) mount(m engine.Mount) (spec.Mount, error) {
	out := spec.Mount{
		Source: m.Source, SubPath: m.SubPath, Target: m.Target, Type: m.Type, Options: m.Options,
		ReadOnly: m.ReadOnly, Recursive: m.Recursive, Propagation: m.Propagation, MapIDs: m.MapIDs,
	}
	layers := m.Layers
	if m.Image != "" {
		var err error
		if layers, err = e.images.LayerDirs(m.Image); err != nil {
			return out, fmt.Errorf("mount image %s: %w", m.Image, err)
		}
	}
	if len(layers) == 0 {
		return out, nil
	}
	out.ReadOnly = true
	out.Source, out.Type = "overlay", "overlay"
	out.Options = append(out.Options, "lowerdir="+strings.Join(layers, ":"))
	return out, nil
}

func linuxResources(r engine.Resources) *specs.LinuxResources {
	out := &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: r.CPUSetCPUs, Mems: r.CPUSetMems}, Memory: &specs.LinuxMemory{}, Unified: r.Unified}
	set(&out.CPU.Shares, r.CPUShares)
	set(&out.CPU.Quota, r.CPUQuota)
	set(&out.CPU.Period, r.CPUPeriod)
	set(&out.Memory.Limit, r.MemoryLimit)
	set(&out.Memory.Swap, r.MemorySwap)
	set(&out.Memory.Reservation, r.MemoryReservation)
	if r.PidsLimit != 0 {
		out.Pids = &specs.LinuxPids{Limit: &r.PidsLimit}
	}
	for size, limit := range r.HugepageLimits {
		out.HugepageLimits = append(out.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: size, Limit: limit})
	}
	return out
}

// set leaves a limit out that is 0, which means unset.
func set[T int64 | uint64](p **T, v T) {
	if v != 0 {
		*p = &v
	}
}

func rlimits(r engine.Resources) []specs.POSIXRlimit {
	var out []specs.POSIXRlimit
	for _, l := range r.Rlimits {
		out = append(out, specs.POSIXRlimit{Type: l.Type, Soft: l.Soft, Hard: l.Hard})
	}
	return out
}

// pinned reports whether a path is a namespace that is held open by a mount.
func pinned(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}
