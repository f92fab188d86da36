package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/linux/mount"
)

// systemMounts are those every container has, unless one of its own takes the place.
func systemMounts(in *Input, s *specs.Spec) error {
	cgroupMode := "ro"
	sysMode := "ro"
	if in.Security.Privileged {
		cgroupMode, sysMode = "rw", "rw"
	}
	if in.CgroupWritable {
		cgroupMode = "rw"
	}
	all := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", sysMode}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", cgroupMode}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	}
	for _, m := range all {
		own := slices.ContainsFunc(in.Mounts, func(o Mount) bool { return path.Clean(o.Target) == m.Destination })
		if !own {
			s.Mounts = append(s.Mounts, m)
		}
	}
	return nil
}

// mounts are in the order of their depth, so that none hides another.
func mounts(in *Input, s *specs.Spec) error {
	own := slices.Clone(in.Mounts)
	slices.SortStableFunc(own, func(a, b Mount) int { return depth(a.Target) - depth(b.Target) })
	for _, m := range own {
		if !path.IsAbs(m.Target) || path.Clean(m.Target) == "/" {
			return fmt.Errorf("mount target %q must be an absolute path below /", m.Target)
		}
		s.Mounts = append(s.Mounts, mountOf(m))
	}
	return nil
}

func mountOf(m Mount) specs.Mount {
	out := specs.Mount{Destination: path.Clean(m.Target), Source: m.Source, Type: m.Type, Options: slices.Clone(m.Options)}
	if m.Type == "" || m.Type == "bind" {
		out.Type = "bind"
		if !slices.Contains(out.Options, "bind") {
			out.Options = append(out.Options, "rbind")
		}
		propagation := m.Propagation
		if propagation == "" {
			propagation = "rprivate"
		}
		out.Options = append(out.Options, propagation)
		if m.SubPath != "" {
			out.Options = append(out.Options, mount.SubPathOption+m.SubPath)
		}
		if m.MapIDs {
			out.Options = append(out.Options, "ridmap")
		}
	}
	if m.Type == "overlay" && m.SubPath != "" {
		out.Options = append(out.Options, mount.SubPathOption+m.SubPath)
	}
	switch {
	case m.ReadOnly && m.Recursive:
		out.Options = append(out.Options, "rro")
	case m.ReadOnly:
		out.Options = append(out.Options, "ro")
	}
	return out
}

func depth(p string) int { return strings.Count(path.Clean(p), "/") }
