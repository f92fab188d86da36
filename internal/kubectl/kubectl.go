// Package kubectl carries the real kubectl inside dhow, packed, and becomes it when asked.
//
// It is unpacked once for each version, below the user's cache directory. bin/ is filled
// by the Makefile; without it the kubectl of the PATH is used.
package kubectl

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/zstd"
)

//go:embed all:bin
var bin embed.FS

const packed = "bin/kubectl.zst"

// Run replaces this process with kubectl; it returns an exit code only when it cannot.
func Run(args []string) int {
	path, err := locate()
	if err == nil {
		err = syscall.Exec(path, append([]string{"kubectl"}, args...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "dhow: run kubectl:", err)
	return 1
}

func locate() (string, error) {
	raw, err := bin.ReadFile(packed)
	if errors.Is(err, fs.ErrNotExist) {
		path, err := exec.LookPath("kubectl")
		if err != nil {
			return "", fmt.Errorf("this dhow was built without it: build with make, or install kubectl: %w", err)
		}
		return path, nil
	}
	if err != nil {
		return "", err
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	path := filepath.Join(dir, "kubectl-"+hex.EncodeToString(sum[:8]))
	if whole(path) {
		return path, nil
	}
	return path, unpack(raw, path)
}

// cacheDir is the user's; root's is below /var/cache, where no other user can plant a program.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/dhow", nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "dhow"), err
}

// whole: the file is there and nobody else's. It appears by rename, so it is complete.
func whole(path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o022 != 0 {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

func unpack(raw []byte, path string) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".kubectl-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	r, err := zstd.NewReader(bytes.NewReader(raw))
	if err != nil {
		return errors.Join(err, f.Close())
	}
	defer r.Close()
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		return err
	}
	removeOthers(dir, filepath.Base(path))
	return os.Rename(f.Name(), path)
}

// removeOthers deletes the kubectl of earlier versions; one that runs keeps its file.
func removeOthers(dir, keep string) {
	old, _ := filepath.Glob(filepath.Join(dir, "kubectl-*"))
	for _, path := range old {
		if filepath.Base(path) != keep {
			os.Remove(path)
		}
	}
}
