package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func TestParsePublish(t *testing.T) {
	tcp := func(ip string, host, port uint16) engine.PortMapping {
		return engine.PortMapping{Protocol: "tcp", HostIP: ip, HostPort: host, ContainerPort: port}
	}
	for in, want := range map[string][]engine.PortMapping{
		"80":                {tcp("", 0, 80)},
		"8080:80":           {tcp("", 8080, 80)},
		"127.0.0.1:8080:80": {tcp("127.0.0.1", 8080, 80)},
		"127.0.0.1::80":     {tcp("127.0.0.1", 0, 80)},
		"[::1]:8080:80":     {tcp("::1", 8080, 80)},
		"90-91:80-81":       {tcp("", 90, 80), tcp("", 91, 81)},
		"53:53/udp":         {{Protocol: "udp", HostPort: 53, ContainerPort: 53}},
	} {
		got, err := parsePublish(in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", in, err, diff)
		}
	}
	for _, bad := range []string{"", "x", "80/icmp", "1:2:3:4", "host:80:80", "80-81:80", "0", "65536"} {
		if got, err := parsePublish(bad); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v, %v, want it refused and named", bad, got, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"64m": 64 << 20, "64M": 64 << 20, "64mb": 64 << 20, "1g": 1 << 30, "1.5g": 3 << 29, "8388608": 8 << 20, "8192k": 8 << 20} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "m", "5m", "-1g", "1x", "64mm", "99999999999999g"} {
		if got, err := parseSize(bad); err == nil {
			t.Errorf("%q was read as %d", bad, got)
		}
	}
}

func TestParseVolume(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	m, make, err := parseVolume(dir+":/data:ro", "/volumes")
	if err != nil || make || !m.ReadOnly || m.Source != dir || m.Target != "/data" {
		t.Errorf("%+v %v %v", m, make, err)
	}
	if _, make, err := parseVolume(there+":/data", "/volumes"); err != nil || !make {
		t.Errorf("a source that is missing: make %v, %v", make, err)
	}
	if m, _, err := parseVolume("cache:/data", "/volumes"); err != nil || m.Source != "/volumes/cache" {
		t.Errorf("a named volume: %+v, %v", m, err)
	}
	for _, bad := range []string{"/data", "/a:b", "a/b:/c", "/a:/b:rx", "/a:/b:ro:x"} {
		if _, _, err := parseVolume(bad, "/volumes"); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestPlanEntrypointAndEnv(t *testing.T) {
	env := func(name string) (string, bool) { return "from-host", name == "SET" }
	o := runOptions{env: []string{"A=1", "SET", "UNSET"}, entrypoint: "", entrypointSet: true, cpus: "0.5", memory: "64m", pull: "missing"}
	p, err := o.plan("image", []string{"sh", "-c", "x"}, "/volumes", env)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A=1", "SET=from-host"}, p.container.Env); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sh", "-c", "x"}, p.container.Command); diff != "" || p.container.Args != nil {
		t.Errorf("an empty entrypoint clears the image's: %s %v", diff, p.container.Args)
	}
	r := p.container.Resources
	if r.CPUQuota != 50_000 || r.CPUPeriod != 100_000 || r.MemoryLimit != 64<<20 || r.MemorySwap != 128<<20 {
		t.Errorf("resources %+v", r)
	}
}
