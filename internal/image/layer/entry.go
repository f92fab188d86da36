package layer

import (
	"archive/tar"
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/x/fault"
)

const xattrPrefix = "SCHILY.xattr."

// mkdirAll makes the directories that a stream left out. Symlinks on the way are followed inside the root,
// also when what they point to is only in a lower layer.
func mkdirAll(root *fsat.Dir, p string, depth int) error {
	if depth > 40 {
		return fault.New(fault.Invalid, "too many symlinks on the way to %q", p)
	}
	cur := ""
	for part := range strings.SplitSeq(p, "/") {
		d, err := root.OpenDir(cur)
		if err != nil {
			return fault.As(fault.Invalid, err)
		}
		err = step(root, d, cur, part, depth)
		d.Close()
		if err != nil {
			return err
		}
		cur = path.Join(cur, part)
	}
	return nil
}

func step(root, d *fsat.Dir, cur, part string, depth int) error {
	err := d.Mkdir(part, 0o755)
	if err == nil {
		return d.Chmod(part, 0o755) // whatever the umask is
	}
	if !errors.Is(err, syscall.EEXIST) {
		return err
	}
	st, err := d.Lstat(part)
	if err != nil {
		return err
	}
	switch {
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return nil
	case st.Mode&syscall.S_IFMT == syscall.S_IFLNK:
		target, err := d.Readlink(part)
		if err != nil {
			return err
		}
		if !path.IsAbs(target) {
			target = path.Join("/", cur, target)
		}
		if target = fsat.Clean(target); target == "" {
			return nil
		}
		return mkdirAll(root, target, depth+1)
	case fsat.IsWhiteout(&st):
		if err := d.Unlink(part); err != nil {
			return err
		}
		if err := d.Mkdir(part, 0o755); err != nil {
			return err
		}
		return d.SetOpaque(part)
	}
	return fault.New(fault.Invalid, "%q is not a directory", path.Join(cur, part))
}

// whiteout applies a deletion mark. An entry of the same layer wins over it: only lower layers are meant.
func whiteout(dir *fsat.Dir, base string) error {
	if base == opaqueMarker {
		return dir.SetOpaque("")
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if strings.HasPrefix(base, aufsPrefix) {
		return nil // bookkeeping of aufs
	}
	if name == "" || name == "." || name == ".." {
		return fault.New(fault.Invalid, "whiteout of nothing")
	}
	st, err := dir.Lstat(name)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return dir.Whiteout(name)
	case err != nil:
		return err
	case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
		return dir.SetOpaque(name)
	}
	return nil
}

func node(dir *fsat.Dir, base string, h *tar.Header) error {
	typ := map[byte]uint32{tar.TypeChar: syscall.S_IFCHR, tar.TypeBlock: syscall.S_IFBLK, tar.TypeFifo: syscall.S_IFIFO}[h.Typeflag]
	var dev uint64
	if h.Typeflag != tar.TypeFifo {
		if h.Devmajor < 0 || h.Devmajor > 0xfff || h.Devminor < 0 || h.Devminor > 0xfffff {
			return fault.New(fault.Invalid, "device %d:%d is out of range", h.Devmajor, h.Devminor)
		}
		dev = mkdev(uint64(h.Devmajor), uint64(h.Devminor))
	}
	return dir.Mknod(base, typ|0o600, dev)
}

// mkdev and devOf are makedev(3) and its inverse.
func mkdev(major, minor uint64) uint64 {
	return minor&0xff | major&0xfff<<8 | minor&^0xff<<12 | major&^0xfff<<32
}

func devOf(d uint64) (major, minor int64) {
	return int64(d >> 8 & 0xfff), int64(d&0xff | d>>12&0xfff00)
}

// meta sets owner, then mode (chown clears setuid), then attributes (chown clears capabilities).
func meta(dir *fsat.Dir, base string, h *tar.Header) error {
	if err := dir.Chown(base, h.Uid, h.Gid); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := dir.Chmod(base, uint32(h.Mode)&0o7777); err != nil {
			return err
		}
	}
	for k, v := range h.PAXRecords {
		attr, ok := strings.CutPrefix(k, xattrPrefix)
		if !ok || !fsat.Portable(attr) {
			continue
		}
		err := dir.SetXattr(base, attr, []byte(v))
		if err != nil && !errors.Is(err, syscall.ENOTSUP) && !(errors.Is(err, syscall.EPERM) && strings.HasPrefix(attr, "user.")) {
			return err
		}
	}
	return nil
}
