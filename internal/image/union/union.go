// Package union reads a stack of overlay lower directories as the one file system they
// mean, without mounting it. Symlinks never lead outside the stack.
//
// It must not know images or builds, and it never writes.
package union

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/image/fsat"
)

// FS is a stack, topmost directory first. Paths are relative to the root, clean, "" for the root itself. Not for
// concurrent use. Close it.
type FS struct {
	layers []*fsat.Dir
	dirs   map[string][]int // directory → the layers whose entries show in it, topmost first
}

// Open opens the directories. None at all is an empty file system.
func Open(dirs ...string) (*FS, error) {
	f := &FS{dirs: map[string][]int{}}
	for _, d := range dirs {
		l, err := fsat.Open(d)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.layers = append(f.layers, l)
	}
	return f, nil
}

// Close closes the directories.
func (f *FS) Close() error {
	var err error
	for _, l := range f.layers {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Entry is where a path is found.
type Entry struct {
	Path  string
	Stat  syscall.Stat_t
	layer int
}

// IsDir, IsLink and IsFile tell the kinds apart that matter.
func (e *Entry) IsDir() bool  { return e.Stat.Mode&syscall.S_IFMT == syscall.S_IFDIR }
func (e *Entry) IsLink() bool { return e.Stat.Mode&syscall.S_IFMT == syscall.S_IFLNK }
func (e *Entry) IsFile() bool { return e.Stat.Mode&syscall.S_IFMT == syscall.S_IFREG }

// Lstat finds p, none of whose components but the last may be a symlink. ErrNotExist.
func (f *FS) Lstat(p string) (Entry, error) {
	if p == "" {
		return f.root()
	}
	in, err := f.dir(parent(p))
	if err != nil {
		return Entry{}, err
	}
	for _, i := range in {
		st, err := f.layers[i].Lstat(p)
		if errors.Is(err, syscall.ENOENT) {
			continue
		}
		if err != nil {
			return Entry{}, err
		}
		if fsat.IsWhiteout(&st) {
			break
		}
		return Entry{p, st, i}, nil
	}
	return Entry{}, &os.PathError{Op: "lstat", Path: "/" + p, Err: fs.ErrNotExist}
}

func (f *FS) root() (Entry, error) {
	if len(f.layers) == 0 {
		return Entry{Stat: syscall.Stat_t{Mode: syscall.S_IFDIR | 0o755}, layer: -1}, nil
	}
	st, err := f.layers[0].Lstat("")
	return Entry{Stat: st}, err
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// dir finds the layers that a directory is made of: down to the first that hides what is below, by being opaque there,
// by a whiteout, or by being something else.
func (f *FS) dir(p string) ([]int, error) {
	if in, ok := f.dirs[p]; ok {
		return in, nil
	}
	var above []int
	if p == "" {
		for i := range f.layers {
			above = append(above, i)
		}
	} else {
		var err error
		if above, err = f.dir(parent(p)); err != nil {
			return nil, err
		}
	}
	var in []int
	for _, i := range above {
		st, err := f.layers[i].Lstat(p)
		if errors.Is(err, syscall.ENOENT) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			break
		}
		in = append(in, i)
		if opaque, err := f.layers[i].Opaque(p); err != nil {
			return nil, err
		} else if opaque {
			break
		}
	}
	if in == nil && p != "" {
		return nil, &os.PathError{Op: "lstat", Path: "/" + p, Err: fs.ErrNotExist}
	}
	f.dirs[p] = in
	return in, nil
}

// Made tells that somebody made directory p in one of the layers since it was last looked at.
func (f *FS) Made(p string) { delete(f.dirs, p) }

// Resolve follows symlinks, the last component's only with last set, and gives the path without them. A path that
// does not exist is given as far as it can be resolved, with ErrNotExist.
func (f *FS) Resolve(p string, last bool) (Entry, error) {
	todo := strings.Split(fsat.Clean(p), "/")
	cur, links := "", 0
	e, err := f.Lstat("")
	for len(todo) > 0 && err == nil {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			cur = strings.TrimPrefix(path.Dir("/"+cur), "/")
			e, err = f.Lstat(cur)
			continue
		}
		next := path.Join(cur, part)
		if e, err = f.Lstat(next); err != nil {
			return Entry{Path: fsat.Clean(path.Join(append([]string{next}, todo...)...))}, err
		}
		if !e.IsLink() || len(todo) == 0 && !last {
			if !e.IsDir() && len(todo) > 0 {
				return Entry{}, &os.PathError{Op: "resolve", Path: "/" + next, Err: syscall.ENOTDIR}
			}
			cur = next
			continue
		}
		if links++; links > 40 {
			return Entry{}, &os.PathError{Op: "resolve", Path: "/" + p, Err: syscall.ELOOP}
		}
		target, err := f.Readlink(e)
		if err != nil {
			return Entry{}, err
		}
		if path.IsAbs(target) {
			cur = ""
		}
		if e, err = f.Lstat(cur); err != nil {
			return Entry{}, err
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return e, err
}

// ReadDir lists a directory without what is deleted, sorted.
func (f *FS) ReadDir(p string) ([]string, error) {
	in, err := f.dir(p)
	if err != nil {
		return nil, err
	}
	names, gone := map[string]bool{}, map[string]bool{}
	for _, i := range in {
		if err := listInto(f.layers[i], p, names, gone); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func listInto(l *fsat.Dir, p string, names, gone map[string]bool) error {
	d, err := l.OpenDir(p)
	if err != nil {
		return err
	}
	defer d.Close()
	list, err := d.Names()
	if err != nil {
		return err
	}
	for _, n := range list {
		if names[n] || gone[n] {
			continue
		}
		st, err := d.Lstat(n)
		if err != nil {
			return err
		}
		if fsat.IsWhiteout(&st) {
			gone[n] = true
		} else {
			names[n] = true
		}
	}
	return nil
}

// Open opens a regular file for reading.
func (f *FS) Open(e Entry) (*os.File, error) { return f.layers[e.layer].OpenExact(e.Path) }

// Readlink gives a symlink's target.
func (f *FS) Readlink(e Entry) (string, error) { return f.layers[e.layer].Readlink(e.Path) }

// Xattrs gives the attributes that belong to the file rather than to this host.
func (f *FS) Xattrs(e Entry) (map[string][]byte, error) {
	if e.layer < 0 {
		return nil, nil
	}
	names, err := f.layers[e.layer].Xattrs(e.Path)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	m := map[string][]byte{}
	for _, n := range names {
		if fsat.Portable(n) {
			if m[n], err = f.layers[e.layer].Xattr(e.Path, n); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// ReadFile reads a small file, following symlinks; at most limit bytes.
func (f *FS) ReadFile(p string, limit int64) ([]byte, error) {
	e, err := f.Resolve(p, true)
	if err != nil {
		return nil, err
	}
	if !e.IsFile() || e.Stat.Size > limit {
		return nil, &os.PathError{Op: "read", Path: "/" + p, Err: fs.ErrInvalid}
	}
	r, err := f.Open(e)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, e.Stat.Size)
	n, err := r.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}
