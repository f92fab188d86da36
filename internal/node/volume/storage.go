package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// fresh begins the names of directories that are being made.
const fresh = ".new-"

// Provide makes the directory of a volume, open to everybody, as users of other local provisioners expect. One that is
// there stays as it is. It appears only when it is complete.
func Provide(storage, name string) error {
	if err := os.MkdirAll(storage, 0o711); err != nil {
		return fmt.Errorf("make the directory of volumes: %w", err)
	}
	root, err := os.OpenRoot(storage)
	if err != nil {
		return fmt.Errorf("open the directory of volumes: %w", err)
	}
	defer root.Close()
	if st, err := root.Lstat(name); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("volume %s in %s is no directory", name, storage)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at volume %s: %w", name, err)
	}
	tmp := unfinished(name)
	if err := root.RemoveAll(tmp); err != nil {
		return fmt.Errorf("make volume %s: %w", name, err)
	}
	if err := root.Mkdir(tmp, 0o777); err != nil {
		return fmt.Errorf("make volume %s: %w", name, err)
	}
	if err := root.Chmod(tmp, 0o777); err != nil { // whatever the umask
		return fmt.Errorf("make volume %s: %w", name, err)
	}
	if err := root.Rename(tmp, name); err != nil {
		return fmt.Errorf("make volume %s: %w", name, err)
	}
	return nil
}

// Destroy removes a volume with all it holds. One that is gone is no error; what a crash left of one is removed.
func Destroy(storage, name string) error {
	root, err := os.OpenRoot(storage)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the directory of volumes: %w", err)
	}
	defer root.Close()
	for _, dir := range []string{unfinished(name), name} {
		if err := root.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove volume %s: %w", name, err)
		}
	}
	return nil
}

// unfinished is what a volume is called while it is made. A name is as long as it may be at most.
func unfinished(name string) string { return fresh + name[:min(len(name), 200)] }
