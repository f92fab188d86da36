package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dhow-project/dhow/internal/config"
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

// lock makes sure that one daemon runs for a cluster and for a data directory. The kernel lets go of it whatever happens.
func lock(l config.Layout) (release func(), err error) {
	var held []*os.File
	release = func() {
		for _, f := range held {
			f.Close()
		}
	}
	for _, path := range []string{l.Lock(), filepath.Join(l.Data, "lock")} {
		f, err := flock(path)
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, f)
	}
	return release, nil
}

// alone makes sure that one dhow at a time chooses what no two clusters of this machine may have: it waits for its turn.
// What is locked is the directory of all clusters itself, so that nothing stays behind.
func alone(l config.Layout) (release func(), err error) {
	dir := filepath.Dir(l.Run)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	for {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) { // the last cluster took it away just now
			continue
		}
		if err != nil {
			return nil, err
		}
		for err = syscall.EINTR; err == syscall.EINTR; {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		if err == nil && still(dir, f) {
			return func() { f.Close() }, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

func still(dir string, f *os.File) bool {
	now, err1 := os.Stat(dir)
	locked, err2 := f.Stat()
	return err1 == nil && err2 == nil && os.SameFile(now, locked)
}
