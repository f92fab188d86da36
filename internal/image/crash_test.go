package image

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A process that makes and removes images is killed at a random moment, again and again: the store always opens, and
// every image in it has all of its layers.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("DHOW_IMAGE_CRASH_DIR"); dir != "" {
		churn(t, dir)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	for round := range 15 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "DHOW_IMAGE_CRASH_DIR="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+round*11%70) * time.Millisecond) // the moment is what is tested
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		images, err := s.List()
		if err != nil {
			t.Error(err)
		}
		for _, img := range images {
			for _, d := range mustDirs(t, s, img) {
				if b, err := os.ReadFile(filepath.Join(d, "file")); err != nil || len(b) != 10_000 {
					t.Errorf("round %d: layer of %s: %v", round, img.ID, err)
				}
			}
		}
		if l, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(l) != 0 {
			t.Errorf("round %d: left in tmp: %v", round, l)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func mustDirs(t *testing.T, s *Store, img Image) []string {
	dirs, err := s.DirsOf(img.Layers)
	if err != nil || len(dirs) == 0 {
		t.Errorf("image %s: %v %v", img.ID, dirs, err)
	}
	return dirs
}

func churn(t *testing.T, dir string) {
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		tmp, err := s.TempDir("crash-")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(tmp, "fs"), 0o755); err != nil {
			t.Fatal(err)
		}
		data := bytes.Repeat(fmt.Appendf(nil, "%10d", i), 1000)
		if err := os.WriteFile(filepath.Join(tmp, "fs/file"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		img, err := s.Commit(context.Background(), Image{}, tmp, func(c *v1.ConfigFile) { c.Author = fmt.Sprint(os.Getpid(), i) })
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if _, err := s.Remove(string(img.ID), true); err != nil {
				t.Fatal(err)
			}
		}
	}
}
