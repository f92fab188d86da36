package pki

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Owner is whose file it is; nil means the process's own user.
type Owner struct{ UID, GID int }

// UserKubeconfig is the kubeconfig that the person at the keyboard uses: the first file of KUBECONFIG, else
// ~/.kube/config. Under sudo it is that of the user who called sudo, and owner is them. getenv is os.Getenv.
func UserKubeconfig(getenv func(string) string) (path string, owner *Owner, err error) {
	home := getenv("HOME")
	if name := getenv("SUDO_USER"); name != "" && name != "root" && os.Geteuid() == 0 {
		u, err := user.Lookup(name)
		if err != nil {
			return "", nil, err
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return "", nil, err
		}
		home, owner = u.HomeDir, &Owner{uid, gid}
	}
	for _, p := range filepath.SplitList(getenv("KUBECONFIG")) {
		if p != "" {
			return p, owner, nil
		}
	}
	if home == "" {
		if home, err = os.UserHomeDir(); err != nil {
			return "", nil, err
		}
	}
	return filepath.Join(home, ".kube", "config"), owner, nil
}

// replaceFile writes a file in one step, through a symlink if it is one. Mode and owner stay what they were; a new
// file is 0600 and the owner's, as are directories made on the way.
func replaceFile(path string, owner *Owner, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := makeDirs(filepath.Dir(path), owner); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	switch st, err := os.Stat(path); {
	case err == nil:
		mode = st.Mode().Perm()
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			owner = &Owner{int(sys.Uid), int(sys.Gid)}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode))
	if owner != nil {
		err = errors.Join(err, f.Chown(owner.UID, owner.GID))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func makeDirs(dir string, owner *Owner) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDirs(parent, owner); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if owner != nil {
		return os.Lchown(dir, owner.UID, owner.GID)
	}
	return nil
}
