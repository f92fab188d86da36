package disk_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRests: after a load the file shrinks, and none of it counts as this process's memory.
func TestRests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		defer s.Close()
		ctx, value := context.Background(), bytes.Repeat([]byte("v"), 1<<20)
		for i := range 20 {
			if _, err := s.Create(ctx, fmt.Sprint("/big/", i), value); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.List(ctx, "/"); err != nil { // looks at every page
			t.Fatal(err)
		}
		for i := range 19 {
			if _, err := s.Delete(ctx, fmt.Sprint("/big/", i), 0); err != nil {
				t.Fatal(err)
			}
		}
		before, mapped := size(t, path), resident(t, path)
		for range 12 { // a lease renewed now and then does not keep it awake
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if _, err := s.Create(ctx, fmt.Sprint("/lease/", time.Now().Unix()), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if after := size(t, path); after > before/2 || after > 2<<20+8<<20 {
			t.Errorf("the file has %d MB for 1 MB that is live, and had %d", after>>20, before>>20)
		}
		if r := resident(t, path); r > mapped/4 {
			t.Errorf("%d KB of the file are resident, and were %d", r>>10, mapped>>10)
		}
		if e, err := s.Get(ctx, "/big/19"); err != nil || !bytes.Equal(e.Value, value) {
			t.Errorf("what is live was lost: %v", err)
		}
	})
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// resident is how many bytes of the file this process has mapped in (proc_pid_smaps(5)).
func resident(t *testing.T, path string) (sum int64) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		l := lines.Text()
		var kb int64
		if _, err := fmt.Sscanf(l, "Rss: %d kB", &kb); err == nil && ours {
			sum += kb << 10
		} else if strings.Contains(l, "-") && !strings.Contains(strings.Fields(l)[0], ":") {
			ours = strings.HasSuffix(l, path)
		}
	}
	return sum
}
