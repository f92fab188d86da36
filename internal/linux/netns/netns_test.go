package netns_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dhow-project/dhow/internal/linux/netns"
	"github.com/dhow-project/dhow/internal/linux/netns/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func here(t testing.TB) string {
	t.Helper()
	s, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCreateDoDelete(t *testing.T) {
	netnstest.Need(t)
	path := filepath.Join(t.TempDir(), "ns")
	if netns.Pinned(path) {
		t.Error("pinned before it was made")
	}
	var made string
	if err := netns.Create(path, func(*os.File) error { made = here(t); return nil }); err != nil {
		t.Fatal(err)
	}
	if made == here(t) || !netns.Pinned(path) {
		t.Errorf("made %s, here %s, pinned %v", made, here(t), netns.Pinned(path))
	}
	var wg sync.WaitGroup
	for range 50 { // no thread may come back in the wrong place
		wg.Go(func() {
			var in string
			if err := netns.Do(path, func() error { in = here(t); return nil }); err != nil || in != made {
				t.Errorf("inside %s, %v; want %s", in, err, made)
			}
			if here(t) == made {
				t.Error("a thread stayed inside")
			}
		})
	}
	wg.Wait()
	if err := netns.Do(path, func() error { panic("oh") }); err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("panic inside: %v", err)
	}
	for range 2 {
		if err := netns.Delete(path); err != nil {
			t.Error(err)
		}
	}
	if err := netns.Do(path, func() error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after delete: %v", err)
	}
}

func TestFailedSetupLeavesNothing(t *testing.T) {
	netnstest.Need(t)
	path := filepath.Join(t.TempDir(), "ns")
	if err := netns.Create(path, func(*os.File) error { return errors.New("no") }); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("file left: %v", err)
	}
}
