package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// files are everything in dhow's directories, and the files of others that it changes.
func files() ([]string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, root := range []string{"/run/dhow", "/var/lib/dhow", "/run/netns", "/var/cache/dhow", filepath.Join(home, ".cache/dhow"), kubeconfig(), filepath.Join(home, ".docker/config.json")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil { // not there, or gone meanwhile
				return nil
			}
			fi, err := d.Info()
			if err != nil {
				return nil
			}
			line := fmt.Sprintf("%s %s", path, fi.Mode())
			if path == root && fi.Mode().IsRegular() {
				raw, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %x", sha256.Sum256(raw))
			}
			out = append(out, line)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "dhow*"))
	return append(out, left...), err
}
