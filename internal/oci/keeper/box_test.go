package keeper_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/linux/ns"
	"github.com/dhow-project/dhow/internal/linux/seccomp"
	"github.com/dhow-project/dhow/internal/linux/userns"
	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/oci/spec"
)

func itoa(n int) string { return strconv.Itoa(n) }

// input is a container as an engine describes it.
func (k *kit) input(script string) spec.Input {
	return spec.Input{Command: []string{"sh", "-c", script}, Image: spec.Image{Env: []string{"PATH=/bin"}}, Hostname: "box", Rootfs: k.rootfs,
		CgroupPath: k.cgroup() + "/c", Namespaces: spec.Namespaces{},
		Security: spec.Security{Seccomp: seccomp.Default(nil), NoNewPrivileges: true}}
}

func (k *kit) compile(in spec.Input) *specs.Spec {
	k.Helper()
	s, err := spec.Compile(in)
	if err != nil {
		k.Fatal(err)
	}
	return s
}

func TestDefaultContainer(t *testing.T) {
	k := newKit(t)
	in := k.input(`id -u; id -g; id -G; pwd; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; echo $HOME; mount -t tmpfs x /tmp 2>/dev/null || echo refused; dd if=/dev/zero of=/dev/null count=1 2>/dev/null && echo devices; umask`)
	in.WorkingDir = "/made/for/it"
	_, log := k.run(keeper.Container{Spec: k.compile(in), User: "app"})
	want := "stdout F 1000\nstdout F 1000\nstdout F 1000 50\nstdout F /made/for/it\nstdout F CapBnd:\t00000000a80425fb\nstdout F NoNewPrivs:\t1\nstdout F Seccomp:\t2\nstdout F /home/app\n"
	if !strings.HasPrefix(log, want) || !strings.Contains(log, "stdout F refused\n") || !strings.HasSuffix(log, "stdout F devices\nstdout F 0022\n") {
		t.Errorf("got %s", log)
	}
}

func TestDeviceRules(t *testing.T) {
	k := newKit(t)
	in := k.input("head -c 1 /dev/kmsg-of-host && echo open")
	in.Devices = nil
	s := k.compile(in)
	s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/kmsg-of-host", Type: "c", Major: 1, Minor: 11}}
	_, log := k.run(keeper.Container{Spec: s})
	if !strings.Contains(log, "Operation not permitted") {
		t.Errorf("got %s", log)
	}
}

func (k *kit) overlay() *keeper.Overlay {
	k.Helper()
	top := k.TempDir()
	for _, d := range []string{"upper", "work", "lower2"} {
		if err := os.Mkdir(filepath.Join(top, d), 0o755); err != nil {
			k.Fatal(err)
		}
	}
	return &keeper.Overlay{Lower: []string{filepath.Join(top, "lower2"), k.rootfs}, Upper: filepath.Join(top, "upper"), Work: filepath.Join(top, "work")}
}

func TestOverlayIsSeenByNobodyElse(t *testing.T) {
	k := newKit(t)
	o := k.overlay()
	if _, err := k.Create(k.ctx, keeper.Container{ID: "c", Spec: k.compile(k.input("echo hello > /new")), Overlay: o}); err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), o.Upper) {
		t.Error("the host has a mount of the container's")
	}
	if err := k.Start(k.ctx, "c"); err != nil {
		t.Fatal(err)
	}
	k.wait("c")
	if b, err := os.ReadFile(filepath.Join(o.Upper, "new")); err != nil || string(b) != "hello\n" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestUserNamespace(t *testing.T) {
	k := newKit(t)
	o := k.overlay()
	in := k.input("id -u; cat /proc/self/uid_map | tr -s ' '; touch /mine; ls -ln /mine | tr -s ' ' | head -c 16; echo; echo x > /dev/null && echo dev; ls /proc | head -n 1")
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
	in.Namespaces.User, in.Namespaces.UIDs, in.Namespaces.GIDs = spec.New, maps, maps
	_, log := k.run(keeper.Container{Spec: k.compile(in), Overlay: o})
	if want := "stdout F 0\nstdout F  0 200000 65536\nstdout F -rw-r--r-- 1 0 0\nstdout F dev\nstdout F 1\n"; log != want {
		t.Errorf("got %q, want %q", log, want)
	}
}

func TestPinnedNamespaces(t *testing.T) {
	k := newKit(t)
	dir := filepath.Join(k.dir, "ns")
	m := []userns.Map{{Inside: 0, Outside: 200000, Size: 65536}}
	if err := ns.Create(dir, ns.Options{IDs: m, Kinds: []ns.Kind{ns.Net, ns.IPC, ns.UTS}}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ns.Remove(dir); err != nil {
			t.Error(err)
		}
	}()
	in := k.input("readlink /proc/self/ns/net; id -u; hostname renamed && hostname")
	in.Security.Add = []string{"SYS_ADMIN"}
	in.Security.Seccomp = nil
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
	in.Namespaces = spec.Namespaces{Net: ns.Path(dir, ns.Net), IPC: ns.Path(dir, ns.IPC), UTS: ns.Path(dir, ns.UTS), User: ns.Path(dir, ns.User), UIDs: maps, GIDs: maps}
	_, log := k.run(keeper.Container{Spec: k.compile(in), Overlay: k.overlay()})
	if !strings.HasPrefix(log, "stdout F net:[") || !strings.HasSuffix(log, "\nstdout F 0\nstdout F renamed\n") {
		t.Errorf("got %q", log)
	}
}

func TestSharedPIDNamespace(t *testing.T) {
	k := newKit(t)
	in := k.input("")
	in.CgroupPath += "init"
	pid, err := k.Create(k.ctx, keeper.Container{ID: "init", Spec: k.compile(in), Init: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start(k.ctx, "init"); err != nil {
		t.Fatal(err)
	}
	// An orphan that ends becomes no zombie.
	in = k.input("(sleep 0.01 & ); test $$ != 1 && echo not the first; while grep -qs sleep /proc/[0-9]*/comm; do :; done; grep -ls 'State:.Z' /proc/[0-9]*/status; cat /proc/1/comm")
	in.Namespaces.PID = "/proc/" + itoa(pid) + "/ns/pid"
	_, log := k.run(keeper.Container{Spec: k.compile(in)})
	if log != "stdout F not the first\nstdout F dhow-keeper\n" {
		t.Errorf("got %q", log)
	}
}

func TestManyAtOnce(t *testing.T) {
	k := newKit(t)
	const n = 24
	errs := make(chan error, n)
	for i := range n {
		in := k.input("exit " + itoa(i))
		in.CgroupPath += itoa(i)
		s := k.compile(in)
		go func() {
			id := "c" + itoa(i)
			_, err := k.Create(k.ctx, keeper.Container{ID: id, Spec: s})
			if err == nil {
				err = k.Start(k.ctx, id)
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		id := "c" + itoa(i)
		st, seen := k.last[id]
		if !seen || st.Status != keeper.Exited {
			st = k.wait(id)
		}
		if st.ExitCode != i {
			t.Errorf("%s: got %+v", id, st)
		}
	}
}
