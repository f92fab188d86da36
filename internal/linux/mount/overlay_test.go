package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The way of older kernels works on newer ones too.
func TestOverlayOfManyLayers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const layers = 120
	dir := t.TempDir()
	sub := func(name string) string {
		d := filepath.Join(dir, name)
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		return d
	}
	var lower []string
	for i := range layers {
		l := sub(fmt.Sprintf("layer:%d,%0150d", i, i))
		if err := os.WriteFile(filepath.Join(l, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		lower = append(lower, l)
	}
	upper, work, hang := sub("upper"), sub("work"), sub("hang")
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
				return err
			}
			m, err := overlayAt(hang, lower, upper, work, unix.MOUNT_ATTR_NODEV)
			if err != nil {
				return err
			}
			defer unix.Close(m)
			left, err := os.ReadDir(hang)
			if err != nil || len(left) > 0 {
				return fmt.Errorf("still mounted: %v %w", left, err)
			}
			seen, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", m))
			if err == nil && len(seen) != layers {
				err = fmt.Errorf("%d files of %d layers", len(seen), layers)
			}
			return err
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
