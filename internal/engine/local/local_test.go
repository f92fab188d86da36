package local_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/local"
	"github.com/dhow-project/dhow/internal/linux/linuxtest"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// open gives an engine of its own on this host.
func open(t testing.TB) *local.Engine {
	t.Helper()
	e, _ := openConfig(t)
	t.Cleanup(func() {
		if err := e.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func openConfig(t testing.TB) (*local.Engine, local.Config) {
	t.Helper()
	linuxtest.Root(t)
	keeper := filepath.Join(t.TempDir(), "dhow-keeper")
	if err := os.WriteFile(keeper, linuxtest.Keeper(t), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DHOW_KEEPER", keeper)
	cfg := local.Config{
		Name: fmt.Sprintf("t%d", os.Getpid()%100000), Dir: t.TempDir(), NetworkDir: filepath.Join(t.TempDir(), "net"),
		PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.213.0.0/24")}, Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	e, err := local.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e, cfg
}

func busybox(t testing.TB, e *local.Engine) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "root"), os.DirFS(linuxtest.Busybox(t))); err != nil {
		t.Fatal(err)
	}
	dockerfile := "FROM scratch\nCOPY root /\nENV PATH=/bin\nRUN echo built > /built\nCMD [\"/bin/sh\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	id, err := e.Build(t.Context(), engine.BuildOptions{Context: dir, Tags: []string{"busybox"}}, func(ev engine.BuildEvent) { t.Log(ev) })
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestContainerLife(t *testing.T) {
	e := open(t)
	ctx := t.Context()
	image := busybox(t, e)
	logs := t.TempDir()
	sandbox, err := e.CreateSandbox(ctx, engine.SandboxConfig{Name: "s", Group: "g", UID: "u", Hostname: "box", LogDir: logs, CgroupParent: "pod1"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := e.CreateContainer(ctx, sandbox, engine.ContainerConfig{
		Name: "c", Image: image, Command: []string{"/bin/sh", "-c", "trap 'exit 3' TERM; cat /built; hostname; echo >/tmp/ready; while :; do sleep 1; done"},
		LogPath: "c.log", Resources: engine.Resources{MemoryLimit: 32 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.StartContainer(ctx, id); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, err := e.Exec(ctx, id, engine.ExecConfig{Command: []string{"/bin/sh", "-c", "until [ -e /tmp/ready ]; do sleep 0.01; done; echo hi; exit 7"}, Streams: engine.Streams{Stdout: &out}})
	if err != nil || code != 7 || out.String() != "hi\n" {
		t.Errorf("exec: %q, %d, %v", out.String(), code, err)
	}
	if err := e.StopContainer(ctx, id, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	c, err := e.Container(ctx, id)
	if err != nil || c.State != engine.ContainerExited || c.ExitCode != 3 {
		t.Errorf("container after stop: %+v, %v", c, err)
	}
	log, err := os.ReadFile(filepath.Join(logs, "c.log"))
	if err != nil || !strings.Contains(string(log), "stdout F built\n") || !strings.Contains(string(log), "stdout F box\n") {
		t.Errorf("log %q, %v", log, err)
	}
}

// A sandbox that is to go with its last container goes although nobody was there when that ended, and one is counted
// what it writes.
func TestAutoRemoveAfterCrash(t *testing.T) {
	e, cfg := openConfig(t)
	ctx := t.Context()
	image := busybox(t, e)
	sandbox, err := e.CreateSandbox(ctx, engine.SandboxConfig{Name: "s", Group: "run", UID: "u", AutoRemove: true})
	if err != nil {
		t.Fatal(err)
	}
	id, err := e.CreateContainer(ctx, sandbox, engine.ContainerConfig{Name: "c", Image: image, Command: []string{"/bin/sh", "-c", "dd if=/dev/zero of=/big bs=1024 count=512; echo done; sleep 1000"}})
	if err != nil {
		t.Fatal(err)
	}
	lines := &waiter{want: "done", found: make(chan struct{})}
	attached := make(chan error, 1)
	joined := make(chan struct{})
	attach, leave := context.WithCancel(ctx)
	defer leave()
	go func() {
		attached <- e.Attach(attach, id, engine.Streams{Stdout: lines, Joined: func() { close(joined) }})
	}()
	<-joined
	if err := e.StartContainer(ctx, id); err != nil {
		t.Fatal(err)
	}
	<-lines.found
	if s, err := e.ContainerStats(ctx, id); err != nil || s.WritableLayer.Bytes < 512<<10 || s.WritableLayer.Inodes == 0 {
		t.Errorf("writable layer: %+v, %v", s.WritableLayer, err)
	}
	leave()
	<-attached
	c, err := e.Container(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e, err = local.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	events, err := e.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := e.Sandbox(ctx, sandbox); fault.Is(err, fault.NotFound) {
			return
		}
		if _, ok := <-events; !ok {
			t.Fatal("the engine went away")
		}
	}
}

// waiter looks for a word in what is written.
type waiter struct {
	want  string
	text  strings.Builder
	found chan struct{}
	once  sync.Once
}

func (w *waiter) Write(b []byte) (int, error) {
	w.text.Write(b)
	if strings.Contains(w.text.String(), w.want) {
		w.once.Do(func() { close(w.found) })
	}
	return len(b), nil
}

func BenchmarkPod(b *testing.B) {
	e := open(b)
	ctx := b.Context()
	image := busybox(b, e)
	for i := 0; b.Loop(); i++ {
		sandbox, err := e.CreateSandbox(ctx, engine.SandboxConfig{Name: fmt.Sprint(i), Group: "g", UID: "u", Hostname: "box", CgroupParent: fmt.Sprint("pod", i)})
		if err != nil {
			b.Fatal(err)
		}
		id, err := e.CreateContainer(ctx, sandbox, engine.ContainerConfig{Name: "c", Image: image, Command: []string{"/bin/sleep", "1000"}})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.StartContainer(ctx, id); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := e.RemoveSandbox(ctx, sandbox); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
