// Package kubectl carries the real kubectl inside dhow, packed, and becomes it when asked.
//
// It is unpacked once for each version, below /var/cache by root, below the user's cache directory by others; the last cluster's
// purge takes it away (forget.go). bin/ is filled by the Makefile; without it the kubectl of the PATH is used.
package kubectl

import (
	"bytes"
	"embed"
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
	var err error
	for range 2 { // the last cluster's purge may take it away between finding and running it
		var path string
		if path, err = locate(); err == nil {
			err = syscall.Exec(path, append([]string{"kubectl"}, args...), os.Environ())
		}
		if !errors.Is(err, syscall.ENOENT) {
			break
		}
	}
	fmt.Fprintln(os.Stderr, "dhow: run kubectl:", err)
	return 1
}

func locate() (string, error) {
	name, err := identity()
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
	if path := filepath.Join(rootCache, name); whole(path, 0) {
		return path, nil
	}
	dir := rootCache
	if os.Geteuid() != 0 {
		if dir, err = os.UserCacheDir(); err != nil {
			return "", err
		}
		dir = filepath.Join(dir, "dhow")
	}
	path := filepath.Join(dir, name)
	if whole(path, os.Geteuid()) {
		return path, nil
	}
	raw, err := bin.ReadFile(packed)
	if err != nil {
		return "", err
	}
	return path, unpack(raw, path)
}

// rootCache is where root unpacks it, for all users: no other user can plant a program there.
const rootCache = "/var/cache/dhow"

// identity names the packed program without reading all of it: by its length, and the checksum of the content
// that every frame of ours ends with (RFC 8878 section 3.1.1).
func identity() (string, error) {
	f, err := bin.Open(packed)
	if err != nil {
		return "", err
	}
	defer f.Close()
	end := f.(io.Seeker)
	size, err := end.Seek(-4, io.SeekEnd)
	if err != nil {
		return "", err
	}
	var sum [4]byte
	if _, err := io.ReadFull(f, sum[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("kubectl-%x-%x", size, sum), nil
}

// whole: the file is there, the owner's, and nobody else's to write. It appears by rename, so it is complete.
func whole(path string, owner int) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o022 != 0 {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == owner
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
