package spec_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", name, d)
	}
}

func TestCompile(t *testing.T) {
	uid, limit := uint32(1000), int64(64<<20)
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 65536, Size: 65536}}
	image := spec.Image{Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}, Env: []string{"PATH=/bin", "A=1"}, WorkingDir: "/srv"}
	for name, in := range map[string]spec.Input{
		"plain": {Image: image, Hostname: "box", Rootfs: "/r", CgroupPath: "/dhow/c"},
		"pod": {Image: image, Args: []string{"other"}, Env: []string{"A=2", "B=3"}, Hostname: "web", Rootfs: "/r", ReadOnlyRoot: true, CgroupPath: "/dhow/c",
			Namespaces: spec.Namespaces{Net: "/ns/net", IPC: "/ns/ipc", UTS: "/ns/uts", User: "/ns/user", UIDs: maps, GIDs: maps},
			Resources:  &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}},
			Sysctls:    map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"},
			Mounts: []spec.Mount{{Source: "/v", Target: "/data/deep", SubPath: "a", ReadOnly: true, Recursive: true, MapIDs: true},
				{Source: "/h", Target: "/etc/hosts"}, {Type: "tmpfs", Source: "tmpfs", Target: "/dev/shm", Options: []string{"size=1m"}}},
			Security: spec.Security{UID: &uid, Drop: []string{"ALL"}, Add: []string{"net_bind_service"}, NoNewPrivileges: true}},
		"privileged": {Command: []string{"sh"}, TTY: true, Width: 80, Height: 24, Rootfs: "/r", Security: spec.Security{Privileged: true},
			Namespaces: spec.Namespaces{Net: spec.Host, PID: spec.Host, IPC: spec.Host, UTS: spec.Host}},
	} {
		s, err := spec.Compile(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(b, '\n'))
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, in := range map[string]spec.Input{
		"no command":              {},
		"relative mount target":   {Command: []string{"x"}, Mounts: []spec.Mount{{Source: "/a", Target: "b"}}},
		"mount on the root":       {Command: []string{"x"}, Mounts: []spec.Mount{{Source: "/a", Target: "/b/.."}}},
		"sysctl of the host":      {Command: []string{"x"}, Sysctls: map[string]string{"vm.swappiness": "1"}},
		"network of the host":     {Command: []string{"x"}, Sysctls: map[string]string{"net.core.somaxconn": "1"}, Namespaces: spec.Namespaces{Net: spec.Host}},
		"unknown capability":      {Command: []string{"x"}, Security: spec.Security{Add: []string{"FLY"}}},
		"user without mappings":   {Command: []string{"x"}, Namespaces: spec.Namespaces{User: spec.New}},
		"zero in the environment": {Command: []string{"x"}, Env: []string{"A=\x00"}},
	} {
		if _, err := spec.Compile(in); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
