package keeper_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhow-project/dhow/internal/oci/keeper"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// refused expects that a container cannot be made, and that nothing was left of the try.
func (k *kit) refused(c keeper.Container) {
	k.Helper()
	c.ID = "c"
	_, err := k.Create(k.ctx, c)
	if err == nil {
		err = k.Start(k.ctx, c.ID)
	}
	if err == nil {
		k.Fatal("it was let in")
	}
	if !fault.Is(err, fault.Invalid) {
		k.Errorf("not the caller's mistake: %v", err)
	}
	k.Log(err)
}

// replace makes a path of the root a symbolic link.
func (k *kit) replace(name, target string) {
	k.Helper()
	p := filepath.Join(k.rootfs, name)
	if err := os.RemoveAll(p); err != nil {
		k.Fatal(err)
	}
	if err := os.Symlink(target, p); err != nil {
		k.Fatal(err)
	}
}

// CVE-2019-19921, CVE-2023-27561: procfs mounted elsewhere.
func TestProcIsASymlink(t *testing.T) {
	k := newKit(t)
	k.replace("proc", "/tmp")
	k.refused(keeper.Container{Spec: k.spec("true")})
}

// CVE-2026-41579: devices made through an image's /dev.
func TestDevIsASymlink(t *testing.T) {
	k := newKit(t)
	outside := t.TempDir()
	k.replace("dev", outside)
	k.refused(keeper.Container{Spec: k.spec("true")})
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("made outside: %v", left)
	}
}

// CVE-2021-30465, CVE-2019-16884: a mount target that leads to the host stays below the root.
func TestMountTargetIsASymlink(t *testing.T) {
	k := newKit(t)
	outside, source := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "f"), []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k.replace("data", outside)
	s := k.spec("cat /data/sub/f; cat " + outside + "/sub/f")
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/data/sub", Type: "bind", Source: source, Options: []string{"rbind", "ro"}})
	_, log := k.run(keeper.Container{Spec: s})
	if log != "stdout F mine\nstdout F mine\n" {
		t.Errorf("got %q", log)
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("made outside: %v", left)
	}
}

// CVE-2017-1002101, CVE-2021-25741: a subpath that leads out of its volume.
func TestSubPathIsASymlink(t *testing.T) {
	k := newKit(t)
	volume := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(volume, "out")); err != nil {
		t.Fatal(err)
	}
	s := k.spec("true")
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: volume, Options: []string{"rbind", "X-subpath=out"}})
	k.refused(keeper.Container{Spec: s})
}

// CVE-2024-21626: a working directory in somebody's descriptors.
func TestWorkingDirectoryOfADescriptor(t *testing.T) {
	k := newKit(t)
	for fd := range 40 {
		s := k.spec("true")
		s.Process.Cwd = "/proc/self/fd/" + string(rune('0'+fd/10)) + string(rune('0'+fd%10))
		if fd < 10 {
			s.Process.Cwd = "/proc/self/fd/" + string(rune('0'+fd))
		}
		s.Linux.CgroupsPath += s.Process.Cwd[len("/proc/self/fd/"):]
		id := "c" + filepath.Base(s.Process.Cwd)
		if _, err := k.Create(k.ctx, keeper.Container{ID: id, Spec: s}); err != nil {
			continue
		}
		if k.Start(k.ctx, id) == nil {
			t.Errorf("started in %s", s.Process.Cwd)
		}
	}
}

// CVE-2016-9962 and the like: nothing of the host is open in a container.
func TestDescriptorsDoNotLeak(t *testing.T) {
	k := newKit(t)
	_, log := k.run(keeper.Container{Spec: k.spec("cd /proc/self/fd; echo *")})
	// The shell opened the directory it lists as 3.
	if f := strings.Fields(log); len(f) < 5 || strings.Join(f[2:5], " ") != "0 1 2" || len(f) > 6 {
		t.Errorf("got %q", log)
	}
}

// CVE-2019-5736: the keeper's program is within reach of an interpreter line, and must not be writable.
func TestProgramCannotBeOverwritten(t *testing.T) {
	k := newKit(t)
	script := filepath.Join(k.rootfs, "bin/evil")
	if err := os.WriteFile(script, []byte("#!/proc/self/exe\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	k.start(keeper.Container{ID: "c", Spec: k.spec("exec sleep 1000")})
	s := specs.Process{Args: []string{"/bin/evil"}, Cwd: "/", Env: []string{"PATH=/bin"}}
	if h, err := k.Exec(k.ctx, "c", keeper.Exec{Process: &s}); err == nil {
		_, _ = h.Wait(k.ctx)
		h.Close()
	}
	pid, err := k.Pid(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join("/proc", itoa(pid), "exe")
	if target, _ := os.Readlink(exe); !strings.HasPrefix(target, "/memfd:") {
		t.Errorf("the keeper runs from %s", target)
	}
	if f, err := os.OpenFile(exe, os.O_WRONLY, 0); err == nil {
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Error("even root could write to the keeper's program")
		}
		f.Close()
	}
}

// CVE-2025-31133: masked paths are hidden whatever the image makes of /dev/null.
func TestMaskedAndReadOnlyPaths(t *testing.T) {
	k := newKit(t)
	s := k.spec("wc -c < /proc/uptime; ls /sys/firmware | wc -l; echo x > /proc/sys/kernel/hostname; hostname; touch /sys/x; ls -d /sys/x")
	s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/uptime", "/sys/nothing/there")
	_, log := k.run(keeper.Container{Spec: s})
	if n := strings.Count(log, "stdout F 0\n"); n != 2 { // what goes to stderr may stand between
		t.Errorf("got %q, want two zeros in it", log)
	}
	for _, want := range []string{"Read-only file system", "stdout F box\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("got %q, want %q in it", log, want)
		}
	}
}
