package build

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/image/layer"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// extract unpacks a local archive into dest as ADD does; false when k is none.
func (b *builder) extract(ctx context.Context, w *copier, t *tree, k *picked, dest string) (bool, error) {
	if !k.Root.IsFile() {
		return false, nil
	}
	f, err := t.fs.Open(k.Root)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return b.extractFile(ctx, w, f, dest)
}

func (b *builder) extractFile(ctx context.Context, w *copier, f *os.File, dest string) (bool, error) {
	if ok, err := isTar(f); !ok || err != nil {
		return false, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	tmp, err := b.o.Store.TempDir("add-")
	if err != nil {
		return false, err
	}
	defer removeAll(tmp)
	r, err := decompress(f)
	if err != nil {
		return false, err
	}
	defer r.Close()
	if _, err := layer.Unpack(ctx, tmp, r, layer.Limits{Bytes: 64 << 30, Inodes: 4_000_000, Plain: true}); err != nil {
		return false, err
	}
	u, err := openUnion([]string{tmp})
	if err != nil {
		return false, err
	}
	defer u.Close()
	all := &tree{fs: u, keepOwner: true, name: f.Name()}
	picks, err := all.pick("/", nil)
	if err != nil {
		return false, err
	}
	to, _, err := w.destination(dest, true)
	if err != nil {
		return false, err
	}
	return true, w.put(all, &picks[0], to)
}

// isTar looks whether f is an archive, compressed or not.
func isTar(f *os.File) (bool, error) {
	r, err := decompress(f)
	if fault.Is(err, fault.Unsupported) {
		return false, err
	}
	if err != nil {
		return false, nil
	}
	defer r.Close()
	_, err = tar.NewReader(r).Next()
	return err == nil, nil
}

// decompress adds bzip2 to what layers may be compressed with.
func decompress(f *os.File) (io.ReadCloser, error) {
	var head [3]byte
	if _, err := f.ReadAt(head[:], 0); err == nil && bytes.Equal(head[:], []byte("BZh")) {
		return io.NopCloser(bzip2.NewReader(f)), nil
	}
	return layer.Decompress(f)
}

const maxDownload = 16 << 30

// download fetches a URL of an ADD into a temporary file.
func download(ctx context.Context, s *image.Store, from string, c *Copy) (blob, error) {
	d, err := fetch(ctx, s, from)
	if err != nil {
		return blob{}, fmt.Errorf("download %s: %w", from, err)
	}
	if c.Checksum != "" && c.Checksum != "sha256:"+d.sum {
		removeAll(d.file)
		return blob{}, fault.New(fault.Invalid, "download %s: content is sha256:%s, not %s as --checksum says", from, d.sum, c.Checksum)
	}
	return d, nil
}

func fetch(ctx context.Context, s *image.Store, from string) (_ blob, err error) {
	u, err := url.Parse(from)
	if err != nil {
		return blob{}, fault.As(fault.Invalid, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return blob{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return blob{}, fault.As(fault.Unavailable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return blob{}, fault.New(fault.Invalid, "server answered %s", res.Status)
	}
	dir, err := s.TempDir("download-")
	if err != nil {
		return blob{}, err
	}
	defer func() {
		if err != nil {
			removeAll(dir)
		}
	}()
	f, err := os.Create(path.Join(dir, "data"))
	if err != nil {
		return blob{}, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(res.Body, maxDownload+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return blob{}, err
	}
	if n > maxDownload {
		return blob{}, fault.New(fault.Exhausted, "it is larger than %d bytes", int64(maxDownload))
	}
	d := blob{sum: fmt.Sprintf("%x", h.Sum(nil)), mode: 0o600, file: f.Name()}
	if base := path.Base(u.Path); base != "/" && base != "." {
		d.name = base
	}
	if t, err := time.Parse(http.TimeFormat, res.Header.Get("Last-Modified")); err == nil {
		d.mtime = t.Unix()
	}
	return d, nil
}
