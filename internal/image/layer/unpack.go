// Package layer turns a layer's tar stream into an overlay lower directory and a
// directory (a layer, or the upper of an overlay) back into a tar stream.
//
// It must not know images or digests. Whiteout files become 0:0 character devices,
// opaque markers the overlay attribute, and the other way round.
package layer

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Names that mean deletion, from the OCI image spec (layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh."
)

// Limits on one layer. 0 is no limit. Plain is for a tar that is no layer: whiteout names mean nothing.
type Limits struct {
	Bytes, Inodes int64
	Plain         bool
}

// Stats of a layer directory.
type Stats struct{ Bytes, Inodes int64 }

// Unpack reads a tar stream to its end into the existing directory dst. Whatever the names and links in the
// stream are, nothing outside dst is touched. Errors: Invalid for a stream that is not a layer, Exhausted
// when a limit is hit.
func Unpack(ctx context.Context, dst string, r io.Reader, lim Limits) (Stats, error) {
	root, err := fsat.Open(dst)
	if err != nil {
		return Stats{}, err
	}
	defer root.Close()
	u := &unpacker{root: root, lim: lim, times: map[string][2]int64{}, buf: make([]byte, 256<<10)}
	defer u.forget()
	tr := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return u.stats, err
		}
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return u.stats, badTar(err)
		}
		if err := u.entry(h, tr); err != nil {
			return u.stats, noSpace(err, h.Name)
		}
	}
	return u.stats, u.setTimes()
}

func badTar(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, "read tar: %w", err)
	}
	return err
}

func noSpace(err error, name string) error {
	if fault.Of(err) != fault.Internal {
		return fault.New(fault.Of(err), "unpack %q: %w", name, err)
	}
	kind := fault.Internal
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		kind = fault.Exhausted
	}
	return fault.New(kind, "unpack %q: %w", name, err)
}

type unpacker struct {
	root  *fsat.Dir
	lim   Limits
	stats Stats
	// The last entry's directory: most entries come in order. Forgotten when a directory or symlink may have changed.
	lastPath string
	last     *fsat.Dir
	// mtimes of directories, set when nothing changes in them any more
	times map[string][2]int64
	buf   []byte
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if name == "" {
		return u.rootDir(h)
	}
	if u.stats.Inodes++; u.lim.Inodes > 0 && u.stats.Inodes > u.lim.Inodes {
		return fault.New(fault.Exhausted, "layer has more than %d entries", u.lim.Inodes)
	}
	dirPath, base := path.Split(name)
	dir, err := u.parent(strings.TrimSuffix(dirPath, "/"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteoutPrefix) && !u.lim.Plain {
		return whiteout(dir, base)
	}
	return u.make(dir, base, name, h, r)
}

// inside rejects what would leave the root and gives the path relative to it.
func inside(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", fault.New(fault.Invalid, "name contains a zero byte")
	}
	if c := path.Clean(strings.TrimLeft(name, "/")); c == ".." || strings.HasPrefix(c, "../") {
		return "", fault.New(fault.Invalid, "name leaves the image")
	}
	return fsat.Clean(name), nil
}

func (u *unpacker) rootDir(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return fault.New(fault.Invalid, "the root is not a directory")
	}
	u.times[""] = [2]int64{h.ModTime.Unix(), int64(h.ModTime.Nanosecond())}
	return meta(u.root, "", h)
}

func (u *unpacker) forget() {
	if u.last != nil {
		u.last.Close()
	}
	u.last = nil
}

func (u *unpacker) parent(p string) (*fsat.Dir, error) {
	if p == "" {
		return u.root, nil
	}
	if u.last != nil && u.lastPath == p {
		return u.last, nil
	}
	d, err := u.root.OpenDir(p)
	if err != nil {
		if err = mkdirAll(u.root, p, 0); err != nil {
			return nil, err
		}
		if d, err = u.root.OpenDir(p); err != nil {
			return nil, fault.As(fault.Invalid, err)
		}
	}
	u.forget()
	u.last, u.lastPath = d, p
	return d, nil
}

func (u *unpacker) make(dir *fsat.Dir, base, name string, h *tar.Header, r io.Reader) error {
	opaque, keep, err := u.clear(dir, base, h.Typeflag == tar.TypeDir)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if !keep {
			err = dir.Mkdir(base, 0o700)
		}
		if opaque && err == nil {
			err = dir.SetOpaque(base)
		}
	case tar.TypeReg, '\x00', tar.TypeGNUSparse: // 0 is the old name of a regular file
		err = u.file(dir, base, h, r)
	case tar.TypeSymlink:
		u.forgetBelow(name)
		err = dir.Symlink(h.Linkname, base)
	case tar.TypeLink:
		return u.link(dir, base, h.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		err = node(dir, base, h)
	default:
		return fault.New(fault.Invalid, "entry type %q is not known", h.Typeflag)
	}
	if err != nil {
		return err
	}
	if err := meta(dir, base, h); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		u.times[name] = [2]int64{h.ModTime.Unix(), int64(h.ModTime.Nanosecond())}
		return nil
	}
	return dir.SetMtime(base, h.ModTime.Unix(), int64(h.ModTime.Nanosecond()))
}

// clear makes room for an entry. A directory over a directory keeps it; a directory over a whiteout of this
// very layer hides what is below: it becomes opaque.
func (u *unpacker) clear(dir *fsat.Dir, base string, isDir bool) (opaque, keep bool, err error) {
	st, err := dir.Lstat(base)
	if errors.Is(err, syscall.ENOENT) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	if st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		if isDir {
			return false, true, nil
		}
		u.forgetAll(dir)
		return false, false, dir.RemoveAll(base)
	}
	if st.Mode&syscall.S_IFMT == syscall.S_IFLNK {
		u.forgetAll(dir)
	}
	return fsat.IsWhiteout(&st), false, dir.Unlink(base)
}

// forgetAll drops the cached directory before names change, unless it is the one in use, which stays valid
// by descriptor; its path is then no longer trusted.
func (u *unpacker) forgetAll(inUse *fsat.Dir) {
	if u.last == inUse {
		u.lastPath = "\x00"
		return
	}
	u.forget()
}

func (u *unpacker) forgetBelow(name string) {
	if strings.HasPrefix(u.lastPath, name) {
		u.lastPath = "\x00"
	}
}

func (u *unpacker) file(dir *fsat.Dir, base string, h *tar.Header, r io.Reader) error {
	if u.stats.Bytes += h.Size; h.Size < 0 || u.lim.Bytes > 0 && u.stats.Bytes > u.lim.Bytes {
		return fault.New(fault.Exhausted, "layer unpacks to more than %d bytes", u.lim.Bytes)
	}
	f, err := dir.Create(base, 0o600)
	if err != nil {
		return err
	}
	if h.Size > 0 {
		if _, err := io.CopyBuffer(onlyWriter{f}, r, u.buf); err != nil {
			f.Close()
			return badTar(err)
		}
	}
	return f.Close()
}

// onlyWriter hides ReadFrom, which would allocate a buffer of its own for every file.
type onlyWriter struct{ io.Writer }

func (u *unpacker) link(dir *fsat.Dir, base, target string) error {
	old, err := inside(target)
	if err != nil || old == "" {
		return fault.New(fault.Invalid, "hard link to %q leaves the image", target)
	}
	oldDir, oldBase := path.Split(old)
	from, err := u.root.OpenDir(strings.TrimSuffix(oldDir, "/"))
	if err != nil {
		return fault.New(fault.Invalid, "hard link to %q: %w", target, err)
	}
	defer from.Close()
	if err := dir.Link(from, oldBase, base); err != nil {
		return fault.New(fault.Invalid, "hard link to %q: %w", target, err)
	}
	return nil
}

func (u *unpacker) setTimes() error {
	u.forget()
	for p, t := range u.times {
		dirPath, base := path.Split(p)
		d, err := u.root.OpenDir(strings.TrimSuffix(dirPath, "/"))
		if err != nil {
			continue // replaced later in the stream
		}
		if st, err := d.Lstat(base); err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			err = d.SetMtime(base, t[0], t[1])
			if err != nil {
				d.Close()
				return err
			}
		}
		d.Close()
	}
	return nil
}
