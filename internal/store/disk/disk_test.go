package disk_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/store/disk"
	"github.com/dhow-project/dhow/internal/store/storetest"
	"github.com/dhow-project/dhow/internal/x/fault"
)

func TestRefusesWhatIsNotItsOwnAndLeavesIt(t *testing.T) {
	foreign := bytes.Repeat([]byte("precious "), 4096)
	cases := map[string]func(t *testing.T, path string){
		"text":  func(t *testing.T, path string) { put(t, path, foreign) },
		"short": func(t *testing.T, path string) { put(t, path, foreign[:7]) },
		"empty": func(t *testing.T, path string) { put(t, path, nil) },
		"flipped bits in a value": func(t *testing.T, path string) {
			fill(t, path, 50)
			b := read(t, path)
			put(t, path, bytes.ReplaceAll(b, []byte("value-"), []byte("valve-"))) // pages in use and free ones alike
		},
		"truncated": func(t *testing.T, path string) {
			fill(t, path, 2000)
			put(t, path, read(t, path)[:3*4096])
		},
		"zeroed pages": func(t *testing.T, path string) {
			fill(t, path, 2000)
			b := read(t, path)
			clear(b[4*4096 : len(b)/2])
			put(t, path, b)
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			damage(t, path)
			before := read(t, path)
			s, err := disk.Open(path, slog.New(slog.DiscardHandler))
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v (%v), want Invalid naming the file", err, fault.Of(err))
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	defer s.Close()
	if _, err := disk.Open(path, slog.New(slog.DiscardHandler)); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("error %v, want Unavailable", err)
	}
}

func TestFileStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	defer s.Close()
	ctx, value := context.Background(), bytes.Repeat([]byte("v"), 1<<20)
	for i := range 120 {
		if _, err := s.Create(ctx, fmt.Sprint("/big/", i), value); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 120 {
		if _, err := s.Delete(ctx, fmt.Sprint("/big/", i), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Create(ctx, "/small", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() > 64<<20 {
		t.Errorf("the file has %d MB for one byte that is live", fi.Size()>>20)
	}
	again := open(t, path)
	defer again.Close()
	if again.Revision() != 241 {
		t.Errorf("revision %d after compaction, want 241", again.Revision())
	}
}

func fill(t *testing.T, path string, n int) {
	t.Helper()
	s := open(t, path)
	for i := range n {
		if _, err := s.Create(context.Background(), fmt.Sprint("/k/", i), fmt.Appendf(nil, "value-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkCreate(b *testing.B) {
	s, err := disk.Open(filepath.Join(b.TempDir(), "store.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	value := bytes.Repeat([]byte("v"), 1500)
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			b.SetParallelism(writers)
			run := fmt.Sprint(b.N, "/", writers, "/")
			var n counter
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Create(context.Background(), run+n.next(), value); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func TestDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "store.db")) })
}
