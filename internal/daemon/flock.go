package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dhow-project/dhow/internal/x/fault"
)

func flock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Exists, "%s is held by another dhow: this cluster is running already, see 'dhow status', or use --name and --data-dir for another one", path)
		}
		return nil, err
	}
	return f, nil
}
