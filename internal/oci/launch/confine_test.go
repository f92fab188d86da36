package launch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/apparmor"
	"github.com/dhow-project/dhow/internal/linux/proc"
	"github.com/dhow-project/dhow/internal/oci/keeper/proto"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// A child asks for its profile in the file that the kernel has, and goes on to its program.
func TestConfine(t *testing.T) {
	program, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	for _, file := range []string{"self/attr/apparmor/exec", "self/attr/exec"} {
		procfs := t.TempDir()
		name := filepath.Join(procfs, file)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := runConfined(t, procfs, program); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if got, _ := os.ReadFile(name); string(got) != "exec my-profile" {
			t.Errorf("%s holds %q", file, got)
		}
	}
	if err := runConfined(t, t.TempDir(), program); err == nil || !strings.Contains(err.Error(), "change to AppArmor profile my-profile") {
		t.Errorf("a kernel without the file: %v", err)
	}
}

func runConfined(t *testing.T, procfs, program string) error {
	t.Helper()
	fd, err := unix.Open(procfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p, err := proc.NewPipes()
	if err != nil {
		t.Fatal(err)
	}
	table := new(proc.Table)
	table.Wait(p)
	confine(table, fd, "my-profile")
	table.Exec(program, []string{program}, []string{program}, nil)
	c, err := proc.Start(table, p, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c.Pidfd)
	err = c.Ready()
	if err == nil {
		err = c.Go()
	}
	if _, _, rerr := proc.Reap(c.Pid); rerr != nil {
		t.Error(rerr)
	}
	return err
}

// Who asks for a profile is not started without it.
func TestUnenforceable(t *testing.T) {
	for _, name := range []string{"", apparmor.Unconfined} {
		if err := confinable(&specs.Process{ApparmorProfile: name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := confinable(&specs.Process{ApparmorProfile: "surely-not-loaded-here"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a profile that is not there: %v", err)
	}
}

func TestHooksAreRefused(t *testing.T) {
	c := &proto.Container{ID: "h", Spec: &specs.Spec{Process: &specs.Process{Args: []string{"x"}, Cwd: "/"}, Root: &specs.Root{}, Linux: &specs.Linux{
		Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}}}, Hooks: &specs.Hooks{}}}
	if _, err := Compile(c); err != nil {
		t.Errorf("no hooks: %v", err)
	}
	c.Spec.Hooks.Poststop = []specs.Hook{{Path: "/bin/true"}}
	if _, err := Compile(c); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "poststop") {
		t.Errorf("a hook: %v", err)
	}
}
