package ns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dhow-project/dhow/internal/linux/proc"
)

// SetHostname names the host inside a pinned UTS namespace.
func SetHostname(path, name string) error {
	return proc.OnThread(func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWUTS); err != nil {
			return fmt.Errorf("enter %s: %w", path, err)
		}
		return os.NewSyscallError("sethostname", unix.Sethostname([]byte(name)))
	})
}
