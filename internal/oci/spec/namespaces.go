package spec

import (
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func root(in *Input, s *specs.Spec) error {
	s.Root.Path, s.Root.Readonly = in.Rootfs, in.ReadOnlyRoot
	return nil
}

// hostname is set only where it is the container's own: a shared UTS namespace has one already.
func hostname(in *Input, s *specs.Spec) error {
	if in.Namespaces.UTS == "" {
		s.Hostname, s.Domainname = in.Hostname, in.Domainname
	}
	return nil
}

func namespaces(in *Input, s *specs.Spec) error {
	n := in.Namespaces
	add := func(kind specs.LinuxNamespaceType, path string) {
		if path == Host {
			return
		}
		if path == New {
			path = ""
		}
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
	if n.User != "" && n.User != Host {
		if len(n.UIDs) == 0 || len(n.GIDs) == 0 {
			return errors.New("a user namespace needs its mappings")
		}
		add(specs.UserNamespace, n.User)
		s.Linux.UIDMappings, s.Linux.GIDMappings = n.UIDs, n.GIDs
	}
	add(specs.NetworkNamespace, n.Net)
	add(specs.IPCNamespace, n.IPC)
	add(specs.UTSNamespace, n.UTS)
	add(specs.PIDNamespace, n.PID)
	add(specs.MountNamespace, "")
	add(specs.CgroupNamespace, n.Cgroup)
	return nil
}

// sysctls must belong to a namespace that is not the host's.
func sysctls(in *Input, s *specs.Spec) error {
	for k := range in.Sysctls {
		if sysctlOfHost(k, in.Namespaces) {
			return fmt.Errorf("sysctl %s would change the host: its namespace is the host's", k)
		}
	}
	s.Linux.Sysctl = in.Sysctls
	return nil
}
