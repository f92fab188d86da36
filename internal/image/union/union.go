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
type FS struct{ layers []*fsat.Dir }

// Open opens the directories. None at all is an empty file system.
func Open(dirs ...string) (*FS, error) {
	f := &FS{}
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
	for i, l := range f.layers {
		st, found, hidden, err := lookup(l, p)
		if err != nil {
			return Entry{}, err
		}
		if found {
			return Entry{p, st, i}, nil
		}
		if hidden {
			break
		}
	}
	if p == "" {
		return Entry{Stat: syscall.Stat_t{Mode: syscall.S_IFDIR | 0o755}, layer: -1}, nil
	}
	return Entry{}, &os.PathError{Op: "lstat", Path: "/" + p, Err: fs.ErrNotExist}
}

// lookup looks in one layer. hidden says that lower layers do not matter for p any more.
func lookup(l *fsat.Dir, p string) (st syscall.Stat_t, found, hidden bool, err error) {
	if p == "" {
		st, err = l.Lstat("")
		return st, err == nil, false, err
	}
	for i := 0; ; {
		j := strings.IndexByte(p[i:], '/')
		prefix, last := p, j < 0
		if !last {
			prefix = p[:i+j]
			i += j + 1
		}
		st, err = l.Lstat(prefix)
		switch {
		case errors.Is(err, syscall.ENOENT):
			return st, false, hidden, nil
		case err != nil:
			return st, false, false, err
		case fsat.IsWhiteout(&st):
			return st, false, true, nil
		case last:
			return st, true, true, nil
		case st.Mode&syscall.S_IFMT != syscall.S_IFDIR:
			return st, false, true, nil
		}
		if opaque, err := l.Opaque(prefix); err != nil {
			return st, false, false, err
		} else if opaque {
			hidden = true
		}
	}
}

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
	names, gone := map[string]bool{}, map[string]bool{}
	for _, l := range f.layers {
		st, found, hidden, err := lookup(l, p)
		if err != nil {
			return nil, err
		}
		if found && st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			break
		}
		if found {
			opaque, err := listInto(l, p, names, gone)
			if err != nil {
				return nil, err
			}
			hidden = opaque || hiddenAbove(l, p)
		}
		if hidden {
			break
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// hiddenAbove reports whether an ancestor of p is opaque in l.
func hiddenAbove(l *fsat.Dir, p string) bool {
	for p != "" && p != "." {
		p = path.Dir(p)
		if p == "." {
			p = ""
		}
		if o, err := l.Opaque(p); err == nil && o {
			return true
		}
	}
	return false
}

func listInto(l *fsat.Dir, p string, names, gone map[string]bool) (opaque bool, err error) {
	d, err := l.OpenDir(p)
	if err != nil {
		return false, err
	}
	defer d.Close()
	list, err := d.Names()
	if err != nil {
		return false, err
	}
	for _, n := range list {
		if names[n] || gone[n] {
			continue
		}
		st, err := d.Lstat(n)
		if err != nil {
			return false, err
		}
		if fsat.IsWhiteout(&st) {
			gone[n] = true
		} else {
			names[n] = true
		}
	}
	return d.Opaque("")
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
