package build

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/image/union"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// copier writes into a new layer on top of a root file system. Destinations are resolved through the root's
// symlinks first and then written without following any, so nothing lands outside the layer.
type copier struct {
	upper *fsat.Dir
	view  *union.FS // upper over the root file system
	owner *owner    // nil: as the source
	chmod string
	// Times of directories, set at the end: what is written into them must not show.
	times map[string]syscall.Timespec
	// latest of the sources, for directories that had to be made
	latest syscall.Timespec
	links  map[[2]uint64]string
}

type owner struct{ uid, gid int }

func newCopier(upper string, lower []string) (*copier, error) {
	u, err := fsat.Open(upper)
	if err != nil {
		return nil, err
	}
	v, err := union.Open(append([]string{upper}, lower...)...)
	if err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return &copier{upper: u, view: v, times: map[string]syscall.Timespec{}, links: map[[2]uint64]string{}}, nil
}

func (c *copier) close() error { return errors.Join(c.upper.Close(), c.view.Close()) }

// destination resolves where a copy goes: a directory (made if need be), or a file's full path.
func (c *copier) destination(dest string, isDir bool) (p string, dir bool, err error) {
	e, err := c.view.Resolve(dest, true)
	switch {
	case err == nil && e.IsDir():
		return e.Path, true, nil
	case err == nil && isDir:
		return "", false, fault.New(fault.Invalid, "cannot copy to non-directory: %s", dest)
	case err == nil:
		return e.Path, false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", false, err
	}
	return e.Path, isDir, nil
}

// put copies one picked source to dest, a resolved path: the thing itself, or into it for a directory's content.
func (c *copier) put(t *tree, k *picked, dest string) error {
	c.saw(k.Root.Stat.Mtim)
	if !k.Root.IsDir() {
		if err := c.mkdirAll(parent(dest)); err != nil {
			return err
		}
		return c.entry(t, k.Root, dest)
	}
	if err := c.mkdirAll(dest); err != nil {
		return err
	}
	moved := map[string]string{"": dest} // where a source directory really went
	for _, it := range k.items {
		to := path.Join(moved[parent(it.rel)], path.Base(it.rel))
		if it.IsDir() {
			real, err := c.directory(t, it.Entry, to)
			if err != nil {
				return err
			}
			moved[it.rel] = real
			continue
		}
		if err := c.mkdirAll(parent(to)); err != nil {
			return err
		}
		if err := c.entry(t, it.Entry, to); err != nil {
			return err
		}
	}
	return nil
}

func parent(p string) string {
	d, _ := path.Split(p)
	return strings.TrimSuffix(d, "/")
}

func (c *copier) saw(t syscall.Timespec) {
	if t.Sec > c.latest.Sec {
		c.latest = syscall.Timespec{Sec: t.Sec}
	}
}

// directory makes to a directory like src, or uses the one that is there, and gives its resolved path.
func (c *copier) directory(t *tree, src union.Entry, to string) (string, error) {
	e, err := c.view.Resolve(to, true)
	if err == nil {
		if !e.IsDir() {
			return "", fault.New(fault.Invalid, "cannot copy to non-directory: /%s", to)
		}
		return e.Path, c.mkdirAll(e.Path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := c.mkdirAll(parent(e.Path)); err != nil {
		return "", err
	}
	d, base, err := c.dir(e.Path)
	if err != nil {
		return "", err
	}
	defer d.Close()
	if err := d.Mkdir(base, 0o700); err != nil {
		return "", err
	}
	c.view.Made(e.Path)
	c.times[e.Path] = src.Stat.Mtim
	return e.Path, c.meta(t, src, d, base)
}

// dir opens the directory of p in the upper, which must exist.
func (c *copier) dir(p string) (*fsat.Dir, string, error) {
	d, err := c.upper.OpenDir(parent(p))
	return d, path.Base(p), err
}

// mkdirAll makes p, a resolved path, in the upper: directories of the root file system come up with their metadata,
// others are new.
func (c *copier) mkdirAll(p string) error {
	if p == "" || c.hasTime(p) {
		return nil
	}
	if err := c.mkdirAll(parent(p)); err != nil {
		return err
	}
	e, err := c.view.Lstat(p)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return err
	}
	if !isNew && !e.IsDir() {
		return fault.New(fault.Invalid, "/%s is not a directory", p)
	}
	d, base, err := c.dir(p)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Mkdir(base, 0o755); errors.Is(err, syscall.EEXIST) {
		return nil
	} else if err != nil {
		return err
	}
	c.view.Made(p)
	if isNew {
		c.times[p] = syscall.Timespec{Sec: -1}
		o := c.owner
		if o == nil {
			o = &owner{}
		}
		return errors.Join(d.Chown(base, o.uid, o.gid), d.Chmod(base, 0o755))
	}
	c.times[p] = e.Stat.Mtim
	err = errors.Join(d.Chown(base, int(e.Stat.Uid), int(e.Stat.Gid)), d.Chmod(base, e.Stat.Mode&0o7777))
	return errors.Join(err, c.xattrs(c.view, e, d, base))
}

func (c *copier) hasTime(p string) bool { _, ok := c.times[p]; return ok }

// entry makes to, whose directory exists in the upper, like src.
func (c *copier) entry(t *tree, src union.Entry, to string) error {
	if e, err := c.view.Lstat(to); err == nil && e.IsDir() {
		return fault.New(fault.Invalid, "cannot replace directory /%s with a file", to)
	}
	d, base, err := c.dir(to)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Unlink(base); err != nil && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	id := [2]uint64{uint64(src.Stat.Dev), src.Stat.Ino}
	if first, ok := c.links[id]; ok && src.Stat.Nlink > 1 {
		if from, base1, err := c.dir(first); err == nil {
			err = d.Link(from, base1, base)
			from.Close()
			if err == nil {
				return nil
			}
		}
	}
	c.links[id] = to
	if err := c.make(t, src, d, base); err != nil {
		return err
	}
	c.saw(src.Stat.Mtim)
	if err := c.meta(t, src, d, base); err != nil {
		return err
	}
	return d.SetMtime(base, int64(src.Stat.Mtim.Sec), int64(src.Stat.Mtim.Nsec))
}

func (c *copier) make(t *tree, src union.Entry, d *fsat.Dir, base string) error {
	switch src.Stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return copyFile(t.fs, src, d, base)
	case syscall.S_IFLNK:
		target, err := t.fs.Readlink(src)
		if err != nil {
			return err
		}
		return d.Symlink(target, base)
	case syscall.S_IFSOCK:
		return fault.New(fault.Unsupported, "%s is a socket", src.Path)
	}
	return d.Mknod(base, src.Stat.Mode&syscall.S_IFMT|0o600, uint64(src.Stat.Rdev))
}

// copyFile shares the blocks where the file system can (os.File.ReadFrom).
func copyFile(from *union.FS, src union.Entry, d *fsat.Dir, base string) error {
	in, err := from.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := d.Create(base, 0o600)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(in)
	return errors.Join(err, out.Close())
}

func (c *copier) meta(t *tree, src union.Entry, d *fsat.Dir, base string) error {
	uid, gid := 0, 0
	if t.keepOwner {
		uid, gid = int(src.Stat.Uid), int(src.Stat.Gid)
	}
	if c.owner != nil {
		uid, gid = c.owner.uid, c.owner.gid
	}
	if err := d.Chown(base, uid, gid); err != nil {
		return err
	}
	if !src.IsLink() {
		mode, err := changeMode(src.Stat.Mode&0o7777, src.IsDir(), c.chmod)
		if err != nil {
			return err
		}
		if err := d.Chmod(base, mode); err != nil {
			return err
		}
	}
	if !t.keepOwner {
		return nil
	}
	return c.xattrs(t.fs, src, d, base)
}

func (c *copier) xattrs(from *union.FS, src union.Entry, d *fsat.Dir, base string) error {
	attrs, err := from.Xattrs(src)
	for k, v := range attrs {
		err = errors.Join(err, d.SetXattr(base, k, v))
	}
	return err
}

// finish sets the times of directories.
func (c *copier) finish() error {
	for p, t := range c.times {
		if t.Sec < 0 {
			t = c.latest
		}
		d, base, err := c.dir(p)
		if err != nil {
			return err
		}
		err = d.SetMtime(base, int64(t.Sec), int64(t.Nsec))
		d.Close()
		if err != nil {
			return err
		}
	}
	return c.upper.SetMtime("", int64(c.latest.Sec), 0)
}

// data writes a file that came as text (a here-document or a download).
func (c *copier) data(to string, mode uint32, write func(*os.File) error, mtime int64) error {
	if e, err := c.view.Lstat(to); err == nil && e.IsDir() {
		return fault.New(fault.Invalid, "cannot replace directory /%s with a file", to)
	}
	if err := c.mkdirAll(parent(to)); err != nil {
		return err
	}
	d, base, err := c.dir(to)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Unlink(base); err != nil && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	f, err := d.Create(base, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	o := c.owner
	if o == nil {
		o = &owner{}
	}
	if mode, err = changeMode(mode, false, c.chmod); err != nil {
		return err
	}
	return errors.Join(d.Chown(base, o.uid, o.gid), d.Chmod(base, mode), d.SetMtime(base, mtime, 0))
}

// changeMode applies --chmod: octal digits, or chmod(1)'s symbolic form.
func changeMode(mode uint32, dir bool, chmod string) (uint32, error) {
	if chmod == "" {
		return mode, nil
	}
	if n, err := strconv.ParseUint(chmod, 8, 12); err == nil {
		return uint32(n), nil
	}
	for clause := range strings.SplitSeq(chmod, ",") {
		var err error
		if mode, err = symbolic(mode, dir, clause); err != nil {
			return 0, err
		}
	}
	return mode, nil
}

func symbolic(mode uint32, dir bool, clause string) (uint32, error) {
	bad := fault.New(fault.Invalid, "--chmod=%q is neither octal nor like u+x", clause)
	i := strings.IndexAny(clause, "+-=")
	if i < 0 {
		return 0, bad
	}
	who := clause[:i]
	if who == "" || strings.Contains(who, "a") {
		who = "ugo"
	}
	var bits uint32
	for _, r := range clause[i+1:] {
		switch r {
		case 'r':
			bits |= 0o4
		case 'w':
			bits |= 0o2
		case 'x':
			bits |= 0o1
		case 'X':
			if dir || mode&0o111 != 0 {
				bits |= 0o1
			}
		default:
			return 0, bad
		}
	}
	for _, w := range who {
		shift, ok := map[rune]uint{'u': 6, 'g': 3, 'o': 0}[w]
		switch {
		case !ok:
			return 0, bad
		case clause[i] == '+':
			mode |= bits << shift
		case clause[i] == '-':
			mode &^= bits << shift
		default:
			mode = mode&^(7<<shift) | bits<<shift
		}
	}
	return mode, nil
}
