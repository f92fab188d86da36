package launch

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/oci/spec"
	"github.com/dhow-project/dhow/internal/x/fault"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestPlan(t *testing.T) {
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 65536, Size: 65536}}
	s, err := spec.Compile(spec.Input{Command: []string{"sh"}, TTY: true, Hostname: "box", Rootfs: "/r", ReadOnlyRoot: true, CgroupPath: "/dhow/c",
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}, Mounts: []spec.Mount{{Source: "/v", Target: "/data", SubPath: "a", ReadOnly: true},
			{Source: "/f", Target: "/proc/cpuinfo"}},
		Namespaces: spec.Namespaces{Net: "/ns/net", User: "/ns/user", UIDs: maps, GIDs: maps}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(&proto.Container{Spec: s, TTY: true, Cgroups: []string{"/sys/fs/cgroup/dhow/c"}, Overlay: &proto.Overlay{Lower: []string{"/a", "/b"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, step := range p.Steps {
		fmt.Fprintln(&b, step)
	}
	fmt.Fprintf(&b, "-- clone %#x, in the process: unshare %#x\n", p.Clone, p.Unshare)
	for _, step := range p.Late {
		fmt.Fprintln(&b, step)
	}
	const file = "testdata/plan.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("plan (-want +got; -update rewrites it):\n%s", d)
	}
}

const passwd = "root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken\napp:x:1000:1001::/home/app:/bin/sh\n"
const group = "root:x:0:\nwheel:x:10:root,app\napp:x:1001:\nstaff:x:50:app\n"

func TestLookup(t *testing.T) {
	files := func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(map[string]string{"etc/passwd": passwd, "etc/group": group}[name])), nil
	}
	none := func(string) (io.ReadCloser, error) { return nil, nil }
	seven := uint32(7)
	for _, c := range []struct {
		user   string
		group  *uint32
		strict bool
		open   func(string) (io.ReadCloser, error)
		want   string
	}{
		{"app", nil, false, files, "{1000 1001 [10 50 1001] /home/app}"},
		{"1000", nil, false, files, "{1000 1001 [10 50 1001] /home/app}"},
		{"app", nil, true, files, "{1000 1001 [1001] /home/app}"},
		{"app:staff", nil, false, files, "{1000 50 [50] /home/app}"},
		{"app:5", nil, false, files, "{1000 5 [5] /home/app}"},
		{"app", &seven, false, files, "{1000 7 [7 10 50] /home/app}"},
		{"4711", nil, false, files, "{4711 0 [0] /}"},
		{"4711:8", nil, false, none, "{4711 8 [8] /}"},
		{"", nil, false, files, "{0 0 [] /root}"},
		{"nobody", nil, false, files, "invalid"},
		{"app:nobody", nil, false, files, "invalid"},
		{"app", nil, false, none, "invalid"},
		{"-1", nil, false, files, "invalid"},
	} {
		id, err := lookup(Identity{}, resolveUser{c.user, c.group, c.strict}, c.open)
		got := fmt.Sprint(id)
		if err != nil {
			got = fault.Of(err).String()
		}
		if got != c.want {
			t.Errorf("%q: got %s (%v), want %s", c.user, got, err, c.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	if got := candidates("x", []string{"PATH=/a::/b"}); !slices.Equal(got, []string{"/a/x", "x", "/b/x"}) {
		t.Errorf("got %v", got)
	}
}
