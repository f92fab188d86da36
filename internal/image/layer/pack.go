package layer

import (
	"archive/tar"
	"context"
	"io"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/dhow-project/dhow/internal/image/fsat"
)

// Pack writes dir as a layer's tar stream. The bytes depend only on what is in dir: the order is by name,
// times are whole seconds, nothing of this host gets in. Sockets are left out.
func Pack(ctx context.Context, dir string, w io.Writer) (Stats, error) {
	root, err := fsat.Open(dir)
	if err != nil {
		return Stats{}, err
	}
	defer root.Close()
	p := &packer{ctx: ctx, tw: tar.NewWriter(w), links: map[inode]string{}, buf: make([]byte, 256<<10)}
	if err := p.dir(root, ""); err != nil {
		return p.stats, err
	}
	return p.stats, p.tw.Close()
}

type inode struct{ dev, ino uint64 }

type packer struct {
	ctx   context.Context
	tw    *tar.Writer
	links map[inode]string
	stats Stats
	buf   []byte
}

func (p *packer) dir(d *fsat.Dir, rel string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	opaque, err := d.Opaque("")
	if err != nil {
		return err
	}
	if opaque {
		if err := p.tw.WriteHeader(mark(path.Join(rel, opaqueMarker))); err != nil {
			return err
		}
	}
	names, err := d.Names()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := p.entry(d, n, path.Join(rel, n)); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) entry(d *fsat.Dir, base, rel string) error {
	st, err := d.Lstat(base)
	if err != nil {
		return err
	}
	p.stats.Inodes++
	if fsat.IsWhiteout(&st) {
		dir, name := path.Split(rel)
		return p.tw.WriteHeader(mark(dir + whiteoutPrefix + name))
	}
	h := header(&st, rel)
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFSOCK:
		p.stats.Inodes--
		return nil
	case syscall.S_IFLNK:
		if h.Linkname, err = d.Readlink(base); err != nil {
			return err
		}
	}
	if st.Nlink > 1 && h.Typeflag != tar.TypeDir {
		key := inode{uint64(st.Dev), st.Ino}
		if first, ok := p.links[key]; ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			return p.tw.WriteHeader(h)
		}
		p.links[key] = rel
	}
	if err := xattrs(d, base, h); err != nil {
		return err
	}
	if err := p.tw.WriteHeader(h); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		p.stats.Bytes += h.Size
		return p.content(d, base, h.Size)
	case tar.TypeDir:
		sub, err := d.OpenDir(base)
		if err != nil {
			return err
		}
		defer sub.Close()
		return p.dir(sub, rel)
	}
	return nil
}

func (p *packer) content(d *fsat.Dir, base string, size int64) error {
	if size == 0 {
		return nil
	}
	f, err := d.OpenExact(base)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(onlyWriter{p.tw}, io.LimitReader(f, size), p.buf)
	return err
}

func header(st *syscall.Stat_t, rel string) *tar.Header {
	h := &tar.Header{
		Name: rel, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(int64(st.Mtim.Sec), 0),
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case syscall.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, rel+"/"
	case syscall.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
	case syscall.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case syscall.S_IFCHR:
		h.Typeflag = tar.TypeChar
		h.Devmajor, h.Devminor = devOf(uint64(st.Rdev))
	case syscall.S_IFBLK:
		h.Typeflag = tar.TypeBlock
		h.Devmajor, h.Devminor = devOf(uint64(st.Rdev))
	}
	return h
}

// mark is a whiteout or opaque entry: an empty file whose metadata means nothing.
func mark(name string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(0, 0)}
}

func xattrs(d *fsat.Dir, base string, h *tar.Header) error {
	names, err := d.Xattrs(base)
	if err != nil {
		return err
	}
	for _, a := range names {
		if !fsat.Portable(a) {
			continue
		}
		v, err := d.Xattr(base, a)
		if err != nil {
			return err
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrPrefix+a] = string(v)
	}
	return nil
}
