package build

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/dhow-project/dhow/internal/image"
)

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: layers keep owners")
	}
}

func newStore(t testing.TB) *image.Store {
	t.Helper()
	needRoot(t)
	s, err := image.Open(t.TempDir(), image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// files makes a directory of files; a name ending in "/" is a directory.
func files(t testing.TB, m map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range m {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if name[len(name)-1] == '/' {
			continue
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestScratchCopy(t *testing.T) {
	s := newStore(t)
	dir := files(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY hello.txt sub /app/\nENV A=b\nCMD [\"/app/hello.txt\"]\n", "hello.txt": "hi", "sub/x": "1"})
	var cached int
	build := func() image.Image {
		cached = 0
		img, err := Build(context.Background(), Options{Store: s, ContextDir: dir, Tags: []string{"web:v1"}, Progress: func(e Event) {
			if e.State == "cached" {
				cached++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	img := build()
	dirs, err := s.LayerDirs("web:v1")
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	if b, err := os.ReadFile(filepath.Join(dirs[0], "app/hello.txt")); string(b) != "hi" {
		t.Fatal(b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dirs[0], "app/x")); string(b) != "1" {
		t.Fatal(b, err)
	}
	if again := build(); again.ID != img.ID || cached != 1 {
		t.Fatalf("second build: %s, %d cached; first %s", again.ID, cached, img.ID)
	}
	if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("ho"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := build(); again.ID == img.ID || cached != 0 {
		t.Fatalf("changed file: %d cached", cached)
	}
}
