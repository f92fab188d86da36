package kubectl

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// Forget removes what Run unpacked: root's, and that of the user who called sudo.
func Forget(getenv func(string) string) error {
	err := forget("/", rootCache[1:])
	home := getenv("HOME")
	if name := getenv("SUDO_USER"); name != "" {
		u, lookup := user.Lookup(name)
		if lookup != nil {
			return errors.Join(err, lookup)
		}
		home = u.HomeDir
	}
	if home == "" {
		return err
	}
	return errors.Join(err, forget(home, ".cache/dhow"))
}

// forget looks below base only, wherever links lead: a user's home is the user's to arrange, and this is root.
func forget(base, dir string) error {
	root, err := os.OpenRoot(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil { // not there, or nothing that Run made
		return nil
	}
	others := false
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), "kubectl-") && !strings.HasPrefix(e.Name(), ".kubectl-") {
			others = true
			continue
		}
		if err := root.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if others {
		return nil
	}
	return root.Remove(dir)
}
