package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/moby/patternmatcher"
	"github.com/opencontainers/go-digest"
)

// copy runs a COPY or ADD: find the sources, hash them, look in the cache, else write a layer.
func (b *builder) copy(ctx context.Context, c *Copy, on result, e *Event) (digest.Digest, error) {
	t, err := b.tree(ctx, c.From)
	if err != nil {
		return "", err
	}
	defer t.fs.Close()
	src, err := b.sources(ctx, t, c)
	if err != nil {
		return "", err
	}
	defer src.close()
	h := sha256.New()
	for i := range src.picked {
		if err := t.hash(h, &src.picked[i], b.o.Store.FileHashes()); err != nil {
			return "", fmt.Errorf("hash %s: %w", c.Sources, err)
		}
	}
	for _, d := range src.data {
		fmt.Fprintf(h, "%q %s %v\n", d.name, d.sum, d.mode)
	}
	below := chain(on.layers)
	if c.Link && !strings.ContainsFunc(c.Chown, isLetter) {
		below = "" // stands on nothing: the same on every base
	}
	key := keyHash("copy", below, h.Sum(nil), c.Dest, c.Chown, c.Chmod, c.Add, c.Parents, unpackWish(c))
	return b.cached(ctx, key, e, func(tmp string) error { return b.write(ctx, tmp, t, src, c, on) })
}

func isLetter(r rune) bool { return r != ':' && (r < '0' || r > '9') }

func unpackWish(c *Copy) string {
	if c.Unpack == nil {
		return ""
	}
	return fmt.Sprint(*c.Unpack)
}

// tree opens where files come from.
func (b *builder) tree(ctx context.Context, from Source) (*tree, error) {
	if from.context() {
		return b.ctx.tree()
	}
	dirs, err := b.lower(ctx, from)
	if err != nil {
		return nil, err
	}
	f, err := openUnion(dirs)
	return &tree{fs: f, keepOwner: true, name: from.String()}, err
}

// lower gives the layer directories of a stage or image, topmost first.
func (b *builder) lower(ctx context.Context, from Source) ([]string, error) {
	if from.Stage >= 0 {
		r, err := b.stage(ctx, from.Stage)
		if err != nil {
			return nil, err
		}
		return b.o.Store.DirsOf(r.layers)
	}
	img, err := b.image(ctx, from.Image, "")
	if err != nil {
		return nil, err
	}
	return b.o.Store.DirsOf(img.Layers)
}

// sources of a copy: picked files, and data that is in no tree.
type sources struct {
	picked []picked
	from   []string // the pattern each picked one came from
	data   []blob
}

// blob is a here-document or a download.
type blob struct {
	name  string
	sum   string
	mode  uint32
	mtime int64
	text  string // or:
	file  string // a temporary file
}

func (s *sources) close() {
	for _, d := range s.data {
		if d.file != "" {
			removeAll(d.file)
		}
	}
}

func (b *builder) sources(ctx context.Context, t *tree, c *Copy) (*sources, error) {
	s := &sources{}
	var exclude *patternmatcher.PatternMatcher
	if len(c.Exclude) > 0 {
		m, err := patternmatcher.New(c.Exclude)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--exclude: %w", err)
		}
		exclude = m
	}
	for _, f := range c.Files {
		s.data = append(s.data, blob{name: path.Base("/" + f.Path), sum: fmt.Sprintf("%x", sha256.Sum256([]byte(f.Data))), mode: 0o644, text: f.Data})
	}
	for _, p := range c.Sources {
		if c.Add && isURL(p) {
			d, err := download(ctx, b.o.Store, p, c)
			if err != nil {
				s.close()
				return nil, err
			}
			s.data = append(s.data, d)
			continue
		}
		k, err := t.pick(p, exclude)
		if err != nil {
			s.close()
			return nil, err
		}
		s.picked = append(s.picked, k...)
		for range k {
			s.from = append(s.from, p)
		}
	}
	return s, nil
}

// write carries a copy out into <tmp>/fs.
func (b *builder) write(ctx context.Context, tmp string, t *tree, src *sources, c *Copy, on result) (err error) {
	var lower []string
	if !c.Link {
		if lower, err = b.o.Store.DirsOf(on.layers); err != nil {
			return err
		}
	}
	w, err := newCopier(tmp+"/fs", lower)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	w.chmod = c.Chmod
	if w.owner, err = b.owner(c.Chown, on); err != nil {
		return err
	}
	n := len(src.picked) + len(src.data)
	isDir := strings.HasSuffix(c.Dest, "/") || n > 1 || c.Parents
	if n > 1 && !strings.HasSuffix(c.Dest, "/") {
		if e, err := w.view.Resolve(c.Dest, true); err != nil || !e.IsDir() {
			return fault.New(fault.Invalid, "when using %s with more than one source file, the destination must be a directory and end with a /", verb(c))
		}
	}
	for i := range src.picked {
		if err := b.writeOne(ctx, w, t, &src.picked[i], src.from[i], c, isDir); err != nil {
			return err
		}
	}
	for _, d := range src.data {
		if err := b.writeData(ctx, w, d, c, isDir); err != nil {
			return err
		}
	}
	return w.finish()
}

func verb(c *Copy) string {
	if c.Add {
		return "ADD"
	}
	return "COPY"
}

func (b *builder) writeOne(ctx context.Context, w *copier, t *tree, k *picked, pattern string, c *Copy, isDir bool) error {
	dest := c.Dest
	if c.Parents {
		dest = path.Join(dest, parentsOf(pattern, k))
	}
	if k.Root.IsDir() {
		to, _, err := w.destination(dest, true)
		if err != nil {
			return err
		}
		return w.put(t, k, to)
	}
	if c.Add && (c.Unpack == nil || *c.Unpack) {
		if done, err := b.extract(ctx, w, t, k, dest); done || err != nil {
			return err
		}
	}
	to, dir, err := w.destination(dest, isDir)
	if err != nil {
		return err
	}
	if dir {
		if to, _, err = w.destination(path.Join("/", to, k.Base), false); err != nil {
			return err
		}
	}
	return w.put(t, k, to)
}

// parentsOf is the part of a source's path that --parents keeps: after "/./", else all of it.
func parentsOf(pattern string, k *picked) string {
	p := path.Join("/", k.Root.Path)
	if before, _, ok := strings.Cut(pattern, "/./"); ok {
		p = strings.TrimPrefix(p, path.Join("/", before))
	}
	if k.Root.IsDir() {
		return p
	}
	return path.Dir(p)
}

func (b *builder) writeData(ctx context.Context, w *copier, d blob, c *Copy, isDir bool) error {
	if d.file != "" && c.Unpack != nil && *c.Unpack {
		f, err := os.Open(d.file)
		if err != nil {
			return err
		}
		defer f.Close()
		if done, err := b.extractFile(ctx, w, f, c.Dest); done || err != nil {
			return err
		}
	}
	to, dir, err := w.destination(c.Dest, isDir)
	if err != nil {
		return err
	}
	if dir {
		if d.name == "" {
			return fault.New(fault.Invalid, "cannot find a file name in the URL: name the destination")
		}
		if to, _, err = w.destination(path.Join("/", to, d.name), false); err != nil {
			return err
		}
	}
	return w.data(to, d.mode, d.writeTo, d.mtime)
}

func (d *blob) writeTo(f *os.File) error {
	if d.file == "" {
		_, err := f.WriteString(d.text)
		return err
	}
	in, err := os.Open(d.file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = f.ReadFrom(in)
	return err
}

// workdir makes a directory when it is not there.
func (b *builder) workdir(ctx context.Context, dir string, on result, e *Event) (digest.Digest, error) {
	key := keyHash("workdir", chain(on.layers), dir)
	return b.cached(ctx, key, e, func(tmp string) (err error) {
		lower, err := b.o.Store.DirsOf(on.layers)
		if err != nil {
			return err
		}
		w, err := newCopier(tmp+"/fs", lower)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		to, _, err := w.destination(dir, true)
		if err != nil {
			return err
		}
		if _, err := w.view.Lstat(to); err == nil {
			return nil
		}
		w.latest.Sec = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).Unix() // the same for everybody
		return errors.Join(w.mkdirAll(to), w.finish())
	})
}
