package kubectl

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func there(path string) bool { _, err := os.Lstat(path); return err == nil }

func TestForgetTakesOnlyWhatIsOurs(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, ".cache/dhow/kubectl-1"))
	write(t, filepath.Join(home, ".cache/dhow/theirs"))
	if err := forget(home, ".cache/dhow"); err != nil {
		t.Fatal(err)
	}
	if there(filepath.Join(home, ".cache/dhow/kubectl-1")) || !there(filepath.Join(home, ".cache/dhow/theirs")) {
		t.Error("kubectl-1 is there, or theirs is not")
	}
	os.Remove(filepath.Join(home, ".cache/dhow/theirs"))
	if err := forget(home, ".cache/dhow"); err != nil || there(filepath.Join(home, ".cache/dhow")) {
		t.Errorf("the empty directory is there: %v", err)
	}
	if err := forget(home, ".cache/dhow"); err != nil {
		t.Error("once more:", err)
	}
}

// A user's home may hold links to anywhere, and purge is run by root.
func TestForgetFollowsNoLinkOut(t *testing.T) {
	home, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "kubectl-1"))
	if err := os.MkdirAll(filepath.Join(home, ".cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(home, ".cache/dhow")); err != nil {
		t.Fatal(err)
	}
	if err := forget(home, ".cache/dhow"); err != nil {
		t.Fatal(err)
	}
	if !there(filepath.Join(outside, "kubectl-1")) {
		t.Error("a file outside of the home is gone")
	}
}
