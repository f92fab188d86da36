// Package content keeps blobs by digest: written once, verified while written,
// never changed. It must not know what is in them.
package content

import (
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
)

// Store is a directory of blobs: <dir>/<algorithm>/<hex>. Temporary files are in tmp, which must be on
// the same file system. Safe for concurrent use.
type Store struct {
	dir, tmp string
}

// Open makes the directories.
func Open(dir, tmp string) (*Store, error) {
	s := &Store{dir: dir, tmp: tmp}
	return s, errors.Join(os.MkdirAll(filepath.Join(dir, "sha256"), 0o700), os.MkdirAll(tmp, 0o700))
}

// Path of a blob, present or not. The digest must be valid.
func (s *Store) Path(d digest.Digest) string {
	return filepath.Join(s.dir, string(d.Algorithm()), d.Encoded())
}

// Size of a present blob; NotFound.
func (s *Store) Size(d digest.Digest) (int64, error) {
	if d.Validate() != nil {
		return 0, fault.New(fault.Invalid, "digest %q is not valid", d)
	}
	fi, err := os.Stat(s.Path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fault.New(fault.NotFound, "blob %s is not here", d)
	}
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// Has reports whether a blob is present.
func (s *Store) Has(d digest.Digest) bool {
	_, err := s.Size(d)
	return err == nil
}

// Open a blob for reading; NotFound.
func (s *Store) Open(d digest.Digest) (*os.File, error) {
	if _, err := s.Size(d); err != nil {
		return nil, err
	}
	return os.Open(s.Path(d))
}

// Read a small blob whole; more than 16 MiB is Exhausted.
func (s *Store) Read(d digest.Digest) ([]byte, error) {
	n, err := s.Size(d)
	if err != nil {
		return nil, err
	}
	if n > 16<<20 {
		return nil, fault.New(fault.Exhausted, "blob %s has %d bytes, more than fits in memory here", d, n)
	}
	return os.ReadFile(s.Path(d))
}

// Delete a blob; a missing one is no error.
func (s *Store) Delete(d digest.Digest) error {
	if err := os.Remove(s.Path(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Walk calls f for every blob with its size.
func (s *Store) Walk(f func(d digest.Digest, size int64) error) error {
	return filepath.WalkDir(s.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		d := digest.NewDigestFromEncoded(digest.Algorithm(filepath.Base(filepath.Dir(p))), filepath.Base(p))
		if err != nil || d.Validate() != nil {
			return err
		}
		return f(d, fi.Size())
	})
}

// Put stores b and gives its sha256.
func (s *Store) Put(b []byte) (digest.Digest, error) {
	d := digest.FromBytes(b)
	if s.Has(d) {
		return d, nil
	}
	w, err := s.Create(d.Algorithm())
	if err != nil {
		return "", err
	}
	defer w.Close()
	if _, err := w.Write(b); err != nil {
		return "", err
	}
	return w.Commit(d)
}

// Writer of one blob. Close without Commit throws it away.
type Writer struct {
	s    *Store
	f    *os.File
	alg  digest.Algorithm
	hash hash.Hash
	n    int64
	done bool
}

// Create starts a blob that will be named by alg.
func (s *Store) Create(alg digest.Algorithm) (*Writer, error) {
	if !alg.Available() {
		return nil, fault.New(fault.Invalid, "digest algorithm %q is not known", alg)
	}
	f, err := os.CreateTemp(s.tmp, "blob-")
	if err != nil {
		return nil, err
	}
	return &Writer{s: s, f: f, alg: alg, hash: alg.Hash()}, nil
}

func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.hash.Write(p[:n])
	w.n += int64(n)
	return n, err
}

// Size is the number of bytes so far.
func (w *Writer) Size() int64 { return w.n }

// Digest of the bytes so far.
func (w *Writer) Digest() digest.Digest { return digest.NewDigest(w.alg, w.hash) }

// Commit makes the blob durable and visible under its digest, which must be want unless want is empty.
func (w *Writer) Commit(want digest.Digest) (digest.Digest, error) {
	got := w.Digest()
	if want != "" && got != want {
		return "", fault.New(fault.Invalid, "content is %s, not %s as promised", got, want)
	}
	if err := w.f.Sync(); err != nil {
		return "", err
	}
	target := w.s.Path(got)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return "", err
	}
	if err := os.Rename(w.f.Name(), target); err != nil {
		return "", err
	}
	w.done = true
	return got, syncDir(filepath.Dir(target))
}

// Close frees the writer and removes what was not committed.
func (w *Writer) Close() error {
	err := w.f.Close()
	if !w.done {
		err = errors.Join(err, os.Remove(w.f.Name()))
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Copy verifies and stores what r gives; want "" accepts any sha256.
func (s *Store) Copy(r io.Reader, want digest.Digest) (digest.Digest, int64, error) {
	alg := digest.Canonical
	if want != "" {
		alg = want.Algorithm()
	}
	w, err := s.Create(alg)
	if err != nil {
		return "", 0, err
	}
	defer w.Close()
	if _, err := io.Copy(w, r); err != nil {
		return "", 0, err
	}
	d, err := w.Commit(want)
	return d, w.n, err
}
