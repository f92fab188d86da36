package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/linuxtest"
	"github.com/dhow-project/dhow/internal/linux/proc"
)

// Both ways must take more layers than one page of their names, and names that are too long for fsconfig.
func TestOverlayOfManyLayers(t *testing.T) {
	linuxtest.Root(t)
	top := filepath.Join(t.TempDir(), strings.Repeat("long", 40), strings.Repeat("long", 40))
	l := Layers{Upper: filepath.Join(top, "upper"), Work: filepath.Join(top, "work"), Volatile: true, Scratch: filepath.Join(top, "scratch")}
	for i := range 60 {
		d := filepath.Join(top, fmt.Sprint("layer:", i))
		l.Lower = append(l.Lower, d)
		if err := os.MkdirAll(filepath.Join(d, fmt.Sprint("of", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{l.Upper, l.Work, l.Scratch} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mount := range map[string]func(Layers, int) (int, error){"new": Overlay, "old": func(l Layers, attrs int) (int, error) {
		var n names
		defer n.close()
		short, err := n.shorten(l)
		if err != nil {
			return -1, err
		}
		return oldOverlay(short, attrs)
	}} {
		if err := os.RemoveAll(filepath.Join(l.Work, "work")); err != nil { // what a volatile mount leaves
			t.Fatal(err)
		}
		err := proc.OnThread(func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
				return err
			}
			m, err := mount(l, unix.MOUNT_ATTR_NOSUID)
			if err != nil {
				return err
			}
			defer unix.Close(m)
			for i := range 60 {
				fd, err := OpenIn(m, fmt.Sprint("of", i), unix.O_PATH)
				if err != nil {
					return err
				}
				unix.Close(fd)
			}
			return unix.Mkdirat(m, "from "+name, 0o755)
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(l.Upper, "from "+name)); err != nil {
			t.Error(err)
		}
	}
}
