package build

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/image"
)

// newUpper makes <tmp>/fs, the upper of a layer to come, and <tmp>/work for overlayfs.
func newUpper(s *image.Store) (string, error) {
	tmp, err := s.TempDir("build-")
	if err != nil {
		return "", err
	}
	fs := filepath.Join(tmp, "fs")
	err = errors.Join(os.Mkdir(fs, 0o755), os.Chmod(fs, 0o755), os.Mkdir(filepath.Join(tmp, "work"), 0o700))
	if err != nil {
		removeAll(tmp)
	}
	return tmp, err
}

// removeAll is for a temporary directory that may have been moved away; what stays, the next Open removes.
func removeAll(dir string) { _ = os.RemoveAll(dir) }

func isEmpty(dir string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	if len(names) > 0 {
		return false, nil
	}
	return true, ignoreEOF(err)
}
