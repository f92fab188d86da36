package local_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/engine/local"
)

// kit is an engine with one sandbox.
type kit struct {
	*testing.T
	*local.Engine
	image, sandbox string
}

func newKit(t *testing.T, change func(*engine.SandboxConfig)) *kit {
	t.Helper()
	e := open(t)
	k := &kit{T: t, Engine: e, image: busybox(t, e)}
	c := engine.SandboxConfig{Name: "s", Group: "g", UID: "u", Hostname: "box", LogDir: t.TempDir(), CgroupParent: "pod1"}
	if change != nil {
		change(&c)
	}
	var err error
	if k.sandbox, err = e.CreateSandbox(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return k
}

// start runs a shell script; with "" it sleeps.
func (k *kit) start(script string, change func(*engine.ContainerConfig)) string {
	k.Helper()
	if script == "" {
		script = "exec sleep 1000"
	}
	c := engine.ContainerConfig{Name: "c", Image: k.image, Command: []string{"sh", "-c", script}}
	if change != nil {
		change(&c)
	}
	id, err := k.CreateContainer(k.Context(), k.sandbox, c)
	if err == nil {
		err = k.StartContainer(k.Context(), id)
	}
	if err != nil {
		k.Fatal(err)
	}
	return id
}

// sh runs a script in a container and gives what it said.
func (k *kit) sh(id, script string) string {
	k.Helper()
	var out bytes.Buffer
	_, err := k.Exec(k.Context(), id, engine.ExecConfig{Command: []string{"sh", "-c", script}, Streams: engine.Streams{Stdout: &out, Stderr: &out}})
	if err != nil {
		k.Fatal(err)
	}
	return out.String()
}

func (k *kit) expect(id, script, want string) {
	k.Helper()
	if got := k.sh(id, script); got != want {
		k.Errorf("%s: got %q, want %q", script, got, want)
	}
}

func TestSharedPIDNamespace(t *testing.T) {
	k := newKit(t, func(c *engine.SandboxConfig) { c.PID = engine.Shared })
	a := k.start("", nil)
	b := k.start("sleep 2000 & exec sleep 3000", nil)
	k.expect(a, "cat /proc/1/comm; grep -c sleep /proc/[0-9]*/comm | grep -c :1; kill -9 1; kill 1; echo alive", "dhow-keeper\n3\nalive\n")
	if l, err := k.ListContainers(t.Context(), engine.Filter{}); err != nil || len(l) != 2 {
		t.Errorf("%d containers are listed, %v", len(l), err)
	}
	// What a container leaves behind ends with it, not with the sandbox.
	if err := k.StopContainer(t.Context(), b, 0); err != nil {
		t.Fatal(err)
	}
	k.expect(a, "grep -c sleep /proc/[0-9]*/comm | grep -c :1", "1\n")
}

func TestSharedPIDNamespaceSurvivesTheEngine(t *testing.T) {
	e, cfg := openConfig(t)
	defer func() {
		if err := e.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	image := busybox(t, e)
	id, err := e.CreateSandbox(t.Context(), engine.SandboxConfig{Name: "s", Group: "g", UID: "u", PID: engine.Shared})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{T: t, Engine: e, image: image, sandbox: id}
	a := k.start("", nil)
	ns := k.sh(a, "readlink /proc/self/ns/pid")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = local.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	k.Engine = e
	k.expect(a, "cat /proc/1/comm", "dhow-keeper\n")
	k.expect(k.start("", nil), "readlink /proc/self/ns/pid", ns)
}

func TestSharedMemory(t *testing.T) {
	k := newKit(t, nil)
	a, b := k.start("", nil), k.start("", nil)
	k.expect(a, "echo hello > /dev/shm/x; grep ' /dev/shm ' /proc/mounts | grep -c 'nosuid,nodev,noexec.*size=65536k'", "1\n")
	k.expect(b, "cat /dev/shm/x", "hello\n")
}

func TestUserNamespace(t *testing.T) {
	vol := t.TempDir()
	if err := os.WriteFile(filepath.Join(vol, "of-root"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := newKit(t, func(c *engine.SandboxConfig) {
		c.User = &engine.UserNamespace{HostID: 300000, Length: 65536}
		c.PID = engine.Shared
	})
	id := k.start("", func(c *engine.ContainerConfig) {
		c.Security.AddCapabilities = []string{"NET_ADMIN"}
		c.Mounts = []engine.Mount{{Source: vol, Target: "/vol", MapIDs: true}, {Image: k.image, Target: "/img", SubPath: "etc"}}
	})
	k.expect(id, "tr -s ' ' < /proc/self/uid_map; id -u; hostname", " 0 300000 65536\n0\nbox\n")
	k.expect(id, "cat /vol/of-root; echo y > /vol/new; echo z > /root-of-mine; ls -ln / /vol /etc/hosts /img | grep -v ' 0 0 ' | grep -v -e : -e total -e '^$' -e proc -e sys -e cgroup", "x")
	// The network is the user namespace's: its root may use privileged ports and change addresses.
	k.expect(id, "nc -l -p 80 >/dev/null 2>&1 & sleep 0.3; grep -c :0050 /proc/net/tcp*; ip addr add 10.9.9.9/32 dev lo && echo mine", "/proc/net/tcp:0\n/proc/net/tcp6:1\nmine\n")
	if st, err := os.Stat(filepath.Join(vol, "new")); err != nil || ownerOf(st) != 0 {
		t.Errorf("a file in an id-mapped volume belongs to %v, %v", st, err)
	}
	c, err := k.Container(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat("/proc/" + itoa(c.PID)); err != nil || ownerOf(st) != 300000 {
		t.Errorf("the process is %v on the host, %v", st, err)
	}
	if s, err := k.Sandbox(t.Context(), k.sandbox); err != nil || len(s.IPs) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestChildCgroupsGoWithTheContainer(t *testing.T) {
	k := newKit(t, nil)
	id := k.start("", func(c *engine.ContainerConfig) { c.Security.Privileged = true })
	k.expect(id, "mkdir -p /sys/fs/cgroup/memory/a/b; sleep 1000 >/dev/null 2>&1 & echo $! > /sys/fs/cgroup/memory/a/b/cgroup.procs; cat /sys/fs/cgroup/memory/a/b/cgroup.procs | wc -l", "1\n")
	if err := k.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestPrivilegedSeesTheHostsDevices(t *testing.T) {
	if _, err := os.Stat("/dev/kmsg"); err != nil {
		t.Skip("no /dev/kmsg here")
	}
	k := newKit(t, nil)
	plain := k.start("", nil)
	all := k.start("", func(c *engine.ContainerConfig) { c.Security.Privileged = true })
	k.expect(plain, "test -e /dev/kmsg; echo $?", "1\n")
	k.expect(all, "test -c /dev/kmsg; echo $?; head -c 0 /dev/kmsg && echo open", "0\nopen\n")
}

func TestImageMount(t *testing.T) {
	k := newKit(t, nil)
	id := k.start("", func(c *engine.ContainerConfig) {
		c.Mounts = []engine.Mount{
			{Image: k.image, Target: "/all"}, {Image: k.image, Target: "/part", SubPath: "etc"}, {Image: k.image, Target: "/file", SubPath: "built"},
		}
	})
	k.expect(id, "cat /all/built /file; head -n 1 /part/passwd; touch /all/x /part/x 2>&1 | grep -c Read-only", "built\nbuilt\nroot:x:0:0:root:/root:/bin/sh\n2\n")
	if _, err := k.CreateContainer(t.Context(), k.sandbox, engine.ContainerConfig{Name: "bad", Image: k.image, Command: []string{"true"},
		Mounts: []engine.Mount{{Image: k.image, Target: "/x", SubPath: "../../etc"}}}); err == nil {
		t.Log("a sub path stays below the image") // resolved in the image: its own /etc
	}
}

// stuck reads nothing.
type stuck struct{ release chan struct{} }

func (s stuck) Write(b []byte) (int, error) { <-s.release; return len(b), nil }

func TestStuckReaderHoldsNobodyUp(t *testing.T) {
	k := newKit(t, nil)
	id := k.start("while :; do sleep 0.05; test -e /go && break; done; seq 1 200000; exit 5", nil)
	s := stuck{make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done, joined := make(chan error, 1), make(chan struct{})
	go func() { done <- k.Attach(ctx, id, engine.Streams{Stdout: s, Joined: func() { close(joined) }}) }()
	<-joined
	events, err := k.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k.sh(id, "touch /go")
	timeout := time.After(10 * time.Second)
	for ended := false; !ended; {
		select {
		case ev := <-events:
			ended = ev.Type == engine.ContainerDied
		case <-timeout:
			t.Fatal("the container waits for a reader that does not read")
		}
	}
	cancel()
	close(s.release)
	<-done
}

func TestOfflineSandboxHasALoopback(t *testing.T) {
	k := newKit(t, func(c *engine.SandboxConfig) { c.Offline = true })
	id := k.start("", nil)
	if got := k.sh(id, "ip link show up"); !strings.Contains(got, "lo:") || strings.Contains(got, "eth0") {
		t.Errorf("links: %s", got)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func ownerOf(st os.FileInfo) uint32 { return st.Sys().(*syscall.Stat_t).Uid }
