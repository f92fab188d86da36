package local

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDiskUsage(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, name := range []string{filepath.Join(dir, "a"), filepath.Join(outside, "huge")} {
		if err := os.WriteFile(name, make([]byte, 100<<10), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	u, err := diskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if u.Inodes != 3 || u.Bytes < 100<<10 || u.Bytes > 150<<10 { // the directory, a file with two names, a link
		t.Errorf("%+v", u)
	}
	if _, err := diskUsage(filepath.Join(dir, "none")); err == nil {
		t.Error("a layer that is not there was counted")
	}
}
