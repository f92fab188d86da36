package keeper_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/linux/cgroup"
	"github.com/dhow-project/dhow/internal/linux/linuxtest"
	"github.com/dhow-project/dhow/internal/oci/keeper"
)

// kit is a keeper of a test's own, and what is needed to run containers under it.
type kit struct {
	testing.TB
	ctx    context.Context
	dir    string
	rootfs string
	*keeper.Client
	events <-chan keeper.Event
	last   map[string]keeper.State
}

func newKit(t testing.TB) *kit {
	t.Helper()
	linuxtest.Root(t)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	k := &kit{TB: t, ctx: ctx, dir: t.TempDir(), rootfs: linuxtest.Busybox(t), last: map[string]keeper.State{}}
	c, err := keeper.Ensure(ctx, keeper.Config{Dir: k.dir, Binary: linuxtest.Keeper(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	k.Client = c
	t.Cleanup(func() {
		defer cancel()
		k.stop()
		if log, _ := os.ReadFile(filepath.Join(k.dir, "keeper/log")); len(log) > 0 && t.Failed() {
			t.Logf("keeper's log:\n%s", log)
		}
	})
	if k.events, err = c.Events(ctx); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kit) stop() {
	states, err := k.List(k.ctx)
	if err != nil {
		k.Error(err)
		return
	}
	for _, s := range states {
		if err := k.Delete(k.ctx, s.ID); err != nil {
			k.Error(err)
		}
	}
	if err := k.Shutdown(k.ctx); err != nil {
		k.Error(err)
	}
	if err := cgroup.Remove(k.cgroup()); err != nil {
		k.Error(err)
	}
}

func (k *kit) cgroup() string {
	return "/dhow-test-" + strings.ReplaceAll(strings.TrimPrefix(k.dir, os.TempDir()+"/"), "/", "-")
}

// spec is a plain container that runs a shell command.
func (k *kit) spec(script string) *specs.Spec {
	all := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"}
	return &specs.Spec{
		Version: "1.2.0",
		Root:    &specs.Root{Path: k.rootfs},
		Process: &specs.Process{Args: []string{"sh", "-c", script}, Cwd: "/", Env: []string{"PATH=/bin"},
			NoNewPrivileges: true, Capabilities: &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}},
		Hostname: "box",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{
			CgroupsPath:   k.cgroup() + "/c",
			Namespaces:    []specs.LinuxNamespace{{Type: "pid"}, {Type: "network"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}, {Type: "cgroup"}},
			MaskedPaths:   []string{"/proc/kcore", "/proc/acpi", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
}

// wait returns the state in which the container has exited.
func (k *kit) wait(id string) keeper.State {
	k.Helper()
	for e := range k.events {
		k.last[e.State.ID] = e.State
		if e.State.ID == id && e.State.Status == keeper.Exited {
			return e.State
		}
	}
	k.Fatalf("container %s did not exit", id)
	panic("unreachable")
}

// run runs a container to its end and gives its state and its log without the time stamps.
func (k *kit) run(c keeper.Container) (keeper.State, string) {
	k.Helper()
	if c.ID == "" {
		c.ID = "c"
	}
	if c.LogPath == "" {
		c.LogPath = filepath.Join(k.dir, c.ID+".log")
	}
	if _, err := k.Create(k.ctx, c); err != nil {
		k.Fatal(err)
	}
	if err := k.Start(k.ctx, c.ID); err != nil {
		k.Fatal(err)
	}
	st := k.wait(c.ID)
	return st, k.log(c.LogPath)
}

func (k *kit) log(path string) string {
	k.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		k.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, " ")
		b.WriteString(rest)
	}
	return b.String()
}

func TestRun(t *testing.T) {
	k := newKit(t)
	st, log := k.run(keeper.Container{Spec: k.spec("hostname; echo $$; exit 7")})
	if st.ExitCode != 7 || log != "stdout F box\nstdout F 1\n" {
		t.Errorf("got code %d and log %q", st.ExitCode, log)
	}
}
