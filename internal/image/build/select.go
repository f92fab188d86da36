package build

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/dhow-project/dhow/internal/image/filehash"
	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/dhow-project/dhow/internal/image/union"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/moby/patternmatcher"
)

// tree is where files are copied from: the context with its ignore file, a stage, an image.
type tree struct {
	fs     *union.FS
	ignore *patternmatcher.PatternMatcher // nil: nothing
	// owners are kept from a stage or image; a context's files belong to root.
	keepOwner bool
	name      string // for messages
}

// picked is one source of a COPY with everything below it.
type picked struct {
	Base  string // name it has at a destination that is a directory
	Root  union.Entry
	items []item // below Root, parents first, sorted; empty for a file
}

type item struct {
	rel string // below Root
	union.Entry
}

// pick finds what a source pattern names. Nothing is NotFound.
func (t *tree) pick(pattern string, exclude *patternmatcher.PatternMatcher) ([]picked, error) {
	clean := fsat.Clean(pattern)
	paths := []string{clean}
	if strings.ContainsAny(clean, "*?[\\") {
		var err error
		if paths, err = t.glob("", strings.Split(clean, "/")); err != nil {
			return nil, err
		}
	}
	var out []picked
	for _, p := range paths {
		e, err := t.fs.Resolve(p, true)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		k := picked{Base: path.Base("/" + p), Root: e}
		if !e.IsDir() {
			if skip, err := excluded(t.ignore, e.Path, exclude, path.Base(e.Path)); err != nil || skip {
				continue
			}
		} else if err := t.walk(&k, e, "", exclude); err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "%q: not found in %s", "/"+clean, t.name)
	}
	return out, nil
}

func excluded(a *patternmatcher.PatternMatcher, pa string, b *patternmatcher.PatternMatcher, pb string) (bool, error) {
	for m, p := range map[*patternmatcher.PatternMatcher]string{a: pa, b: pb} {
		if m == nil || p == "" {
			continue
		}
		if hit, err := m.MatchesOrParentMatches(p); err != nil || hit {
			return hit, err
		}
	}
	return false, nil
}

// glob matches path components with filepath.Match's rules.
func (t *tree) glob(at string, parts []string) ([]string, error) {
	if len(parts) == 0 {
		return []string{at}, nil
	}
	if !strings.ContainsAny(parts[0], "*?[\\") {
		p := path.Join(at, parts[0])
		if _, err := t.fs.Resolve(p, true); err != nil {
			return nil, nil
		}
		return t.glob(p, parts[1:])
	}
	dir, err := t.fs.Resolve(at, true)
	if err != nil || !dir.IsDir() {
		return nil, nil
	}
	names, err := t.fs.ReadDir(dir.Path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range names {
		ok, err := path.Match(parts[0], n)
		if err != nil {
			return nil, fault.New(fault.Invalid, "pattern %q: %w", parts[0], err)
		}
		if !ok {
			continue
		}
		if skip, err := excluded(t.ignore, path.Join(dir.Path, n), nil, ""); err != nil || skip && !t.ignore.Exclusions() {
			continue
		}
		more, err := t.glob(path.Join(at, n), parts[1:])
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// walk lists what is below dir. An ignored directory is entered only when a later "!" pattern could bring back
// something in it; it then appears if that happened.
func (t *tree) walk(k *picked, dir union.Entry, rel string, exclude *patternmatcher.PatternMatcher) error {
	names, err := t.fs.ReadDir(dir.Path)
	if err != nil {
		return err
	}
	for _, n := range names {
		p, r := path.Join(dir.Path, n), path.Join(rel, n)
		skip, err := excluded(t.ignore, p, exclude, r)
		if err != nil {
			return fault.As(fault.Invalid, err)
		}
		if skip && !exceptions(t.ignore) && !exceptions(exclude) {
			continue
		}
		e, err := t.fs.Lstat(p)
		if err != nil {
			return err
		}
		if skip && !e.IsDir() {
			continue
		}
		if e.Stat.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
			continue
		}
		k.items = append(k.items, item{r, e})
		if !e.IsDir() {
			continue
		}
		before := len(k.items)
		if err := t.walk(k, e, r, exclude); err != nil {
			return err
		}
		if skip && len(k.items) == before {
			k.items = k.items[:before-1]
		}
	}
	return nil
}

func exceptions(m *patternmatcher.PatternMatcher) bool { return m != nil && m.Exclusions() }

// hash adds what a copy of k depends on: names, kinds, modes, content, but no times.
func (t *tree) hash(h hash.Hash, k *picked, files *filehash.Cache) error {
	fmt.Fprintf(h, "source %q\n", k.Base)
	if err := t.hashEntry(h, "", k.Root, files); err != nil {
		return err
	}
	for _, it := range k.items {
		if err := t.hashEntry(h, it.rel, it.Entry, files); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) hashEntry(h hash.Hash, rel string, e union.Entry, files *filehash.Cache) error {
	var fixed [24]byte
	binary.LittleEndian.PutUint32(fixed[0:], e.Stat.Mode)
	if t.keepOwner {
		binary.LittleEndian.PutUint32(fixed[4:], e.Stat.Uid)
		binary.LittleEndian.PutUint32(fixed[8:], e.Stat.Gid)
	}
	binary.LittleEndian.PutUint64(fixed[12:], uint64(e.Stat.Rdev))
	fmt.Fprintf(h, "%q ", rel)
	h.Write(fixed[:])
	switch {
	case e.IsFile():
		d, err := files.Sum(&e.Stat, func() (*os.File, error) { return t.fs.Open(e) })
		if err != nil {
			return err
		}
		h.Write(d[:])
	case e.IsLink():
		target, err := t.fs.Readlink(e)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q", target)
	}
	if !t.keepOwner {
		return nil
	}
	attrs, err := t.fs.Xattrs(e)
	for _, a := range slices.Sorted(maps.Keys(attrs)) {
		fmt.Fprintf(h, "%q=%q", a, attrs[a])
	}
	return err
}

func keyHash(kind string, parts ...any) string {
	h := sha256.New()
	fmt.Fprintf(h, "dhow 1 %s", kind)
	for _, p := range parts {
		fmt.Fprintf(h, " %q", fmt.Sprint(p))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
