package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// File is one file of a rendered volume.
type File struct {
	Data []byte
	Mode fs.FileMode
	UID  int // -1: the node's own
}

// The layout, as every consumer of a ConfigMap volume knows it:
//
//	..2026_11_21_02_26_00.123456789/   the files
//	..data -> ..2026_…                 switched by rename(2): readers see all old or all new
//	key -> ..data/key                  one link for each first path element
const dataLink = "..data"

// write makes dir show exactly files (by slash path). Nothing happens when it does already. group, when not nil, owns
// everything and may read it.
func write(dir string, files map[string]File, group *int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != "" && shows(filepath.Join(dir, old), files, group) {
		return links(dir, files)
	}
	if err := os.Chmod(dir, dirMode(group)); err != nil {
		return err
	}
	if group != nil {
		if err := os.Chown(dir, -1, int(*group)); err != nil {
			return err
		}
	}
	fresh, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	if err := fill(fresh, files, group); err != nil {
		os.RemoveAll(fresh)
		return err
	}
	tmp := filepath.Join(dir, "..data_tmp")
	os.Remove(tmp)
	if err := os.Symlink(filepath.Base(fresh), tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, dataLink)); err != nil {
		return err
	}
	if err := links(dir, files); err != nil {
		return err
	}
	return sweep(dir, filepath.Base(fresh))
}

func dirMode(group *int64) fs.FileMode {
	if group != nil {
		return 0o775 | fs.ModeSetgid
	}
	return 0o755
}

func fileMode(f File, group *int64) fs.FileMode {
	if group != nil {
		return f.Mode | 0o440
	}
	return f.Mode
}

// fill writes files below dir.
func fill(dir string, files map[string]File, group *int64) error {
	gid := -1
	if group != nil {
		gid = int(*group)
	}
	own := func(path string, mode fs.FileMode, uid int) error {
		if uid >= 0 || gid >= 0 {
			if err := os.Chown(path, uid, gid); err != nil {
				return err
			}
		}
		return os.Chmod(path, mode) // after chown, which clears setgid; and whatever the umask
	}
	if err := own(dir, dirMode(group), -1); err != nil {
		return err
	}
	for name, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		for d := filepath.Dir(name); d != "."; d = filepath.Dir(d) {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				return err
			}
			if err := own(filepath.Join(dir, d), dirMode(group), -1); err != nil {
				return err
			}
		}
		if err := os.WriteFile(path, f.Data, f.Mode); err != nil {
			return err
		}
		if err := own(path, fileMode(f, group), f.UID); err != nil {
			return err
		}
	}
	return nil
}

// shows reports whether dir holds exactly files.
func shows(dir string, files map[string]File, group *int64) bool {
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		f, ok := files[filepath.ToSlash(rel)]
		if !ok {
			return fs.SkipAll
		}
		st, err := d.Info()
		if err != nil || st.Mode().Perm() != fileMode(f, group).Perm() {
			return fs.SkipAll
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(b, f.Data) {
			return fs.SkipAll
		}
		n++
		return nil
	})
	return err == nil && n == len(files)
}

// links makes the visible names, and removes those that are no more.
func links(dir string, files map[string]File) error {
	want := map[string]bool{}
	for name := range files {
		first, _, _ := strings.Cut(name, "/")
		want[first] = true
	}
	have, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range have {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		if want[e.Name()] {
			delete(want, e.Name())
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	for name := range want {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes earlier versions, also those a crash left.
func sweep(dir, keep string) error {
	have, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range have {
		if strings.HasPrefix(e.Name(), "..") && e.Name() != keep && e.Name() != dataLink {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove an earlier version: %w", err)
			}
		}
	}
	return nil
}
