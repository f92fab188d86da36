// Package linuxtest has what tests on the real kernel share: a root file
// system made of busybox, and the keeper's program, built once.
package linuxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Root skips a test that cannot run without being root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// Busybox makes a root file system with all of busybox's commands and a user "app" (1000).
func Busybox(t testing.TB) string {
	t.Helper()
	Root(t)
	bin, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs busybox (apt-get install busybox-static)")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"bin", "etc", "tmp", "home/app"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "bin/busybox"), program, 0o755)
	write(t, filepath.Join(root, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"), 0o644)
	write(t, filepath.Join(root, "etc/group"), []byte("root:x:0:\napp:x:1000:\nstaff:x:50:app\n"), 0o644)
	for _, name := range []string{"sh", "true", "false", "cat", "echo", "sleep", "id", "ls", "grep", "dd", "head", "tail", "kill", "stty", "mount", "umask", "test", "touch", "hostname", "pwd", "mkdir", "readlink", "yes", "env", "ip", "nc", "seq", "wc", "tr"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func write(t testing.TB, name string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, data, mode); err != nil {
		t.Fatal(err)
	}
}

var keeper = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "dhow-keeper")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "dhow-keeper")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "github.com/dhow-project/dhow/cmd/dhow-keeper")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return text, err
	}
	return os.ReadFile(out)
})

// Keeper is the keeper's program.
func Keeper(t testing.TB) []byte {
	t.Helper()
	b, err := keeper()
	if err != nil {
		t.Fatalf("build keeper: %v\n%s", err, b)
	}
	return b
}
