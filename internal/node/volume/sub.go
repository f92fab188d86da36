package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// safeSub refuses sub-paths that are absolute or climb: the engine resolves the rest inside the volume.
func safeSub(sub string) error {
	if filepath.IsAbs(sub) {
		return fmt.Errorf("subPath %q must not be an absolute path", sub)
	}
	for _, p := range strings.Split(sub, "/") {
		if p == ".." {
			return fmt.Errorf("subPath %q must not contain '..'", sub)
		}
	}
	return nil
}

// makeSub makes a missing sub-path as directories. It never leaves the volume, whatever symlinks a container
// put there (CVE-2017-1002101, CVE-2021-25741).
func makeSub(volume, sub string) error {
	root, err := os.OpenRoot(volume)
	if err != nil {
		return fmt.Errorf("open volume: %w", err)
	}
	defer root.Close()
	if _, err := root.Stat(sub); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("subPath %q: %w", sub, err)
	}
	mode := fs.FileMode(0o750)
	if st, err := root.Stat("."); err == nil {
		mode = st.Mode().Perm()
	}
	if err := root.MkdirAll(sub, mode); err != nil {
		return fmt.Errorf("make subPath %q: %w", sub, err)
	}
	if err := root.Chmod(sub, mode); err != nil { // whatever the umask
		return fmt.Errorf("make subPath %q: %w", sub, err)
	}
	return nil
}
