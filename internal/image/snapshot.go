package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dhow-project/dhow/internal/image/layer"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
)

// Layers on disk: from a stream, from a blob, from a directory somebody else filled.

func (s *Store) layerDir(id digest.Digest) string {
	return filepath.Join(s.dir, "layers", id.Encoded())
}

func (s *Store) layer(id digest.Digest) (layerRecord, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.t.layers.m[string(id)]
	return r, ok
}

// flight is one layer being made; others who want it wait.
type flight struct {
	done chan struct{}
	err  error
}

// once runs make unless the layer is there, or waits for who is making it. Not all of make's failures are
// everybody's: a waiter tries again itself.
func (s *Store) once(ctx context.Context, id digest.Digest, make_ func() error) error {
	for {
		s.mu.Lock()
		if _, ok := s.t.layers.m[string(id)]; ok {
			s.mu.Unlock()
			return nil
		}
		f, busy := s.flights[id]
		if !busy {
			f = &flight{done: make(chan struct{})}
			s.flights[id] = f
		}
		s.mu.Unlock()
		if !busy {
			f.err = make_()
			s.mu.Lock()
			delete(s.flights, id)
			s.mu.Unlock()
			close(f.done)
			return f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unpack fills a layer directory from a possibly compressed stream, which it reads to the end, and files it
// under want. A stream that is not want is Invalid; want "" takes what comes.
func (s *Store) unpack(ctx context.Context, r io.Reader, want digest.Digest) (digest.Digest, error) {
	tmp, err := s.TempDir("layer-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	fs := filepath.Join(tmp, "fs")
	if err := os.Mkdir(fs, 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(fs, 0o755); err != nil {
		return "", err
	}
	plain, err := layer.Decompress(r)
	if err != nil {
		return "", err
	}
	defer plain.Close()
	h := &hashReader{r: bufio.NewReaderSize(plain, 256<<10), h: digest.Canonical.Digester()}
	stats, err := layer.Unpack(ctx, fs, h, layer.Limits{Bytes: s.opts.MaxLayerBytes, Inodes: s.opts.MaxLayerInodes})
	if err != nil {
		return "", err
	}
	// Whatever follows the end mark still counts for the digests, and for the limit.
	if _, err := io.Copy(io.Discard, io.LimitReader(h, s.opts.MaxLayerBytes)); err != nil {
		return "", err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return "", err
	}
	got := h.h.Digest()
	if want != "" && got != want {
		return "", fault.New(fault.Invalid, "layer unpacks to %s, not to %s as its config says", got, want)
	}
	return got, s.fileLayer(tmp, got, layerRecord{Bytes: stats.Bytes, Inodes: stats.Inodes, TarSize: h.n})
}

// fileLayer moves <tmp>/fs into place and records it. A layer that came in the meantime is kept.
func (s *Store) fileLayer(tmp string, id digest.Digest, r layerRecord) error {
	r.Boot = s.boot
	err := s.update(func(c *change) error {
		if _, ok := s.t.layers.m[string(id)]; ok {
			return nil
		}
		if err := os.RemoveAll(s.layerDir(id)); err != nil {
			return err
		}
		if err := os.Rename(tmp, s.layerDir(id)); err != nil {
			return err
		}
		return put(c, &s.t.layers, string(id), r)
	})
	if err == nil {
		s.syncing.kick()
	}
	return err
}

// ensureLayer makes sure that a layer is unpacked, from one of its blobs if need be.
func (s *Store) ensureLayer(ctx context.Context, id digest.Digest) error {
	return s.once(ctx, id, func() error {
		for _, b := range s.blobsOf(id) {
			if s.blobs.Has(b) {
				return s.unpackStored(ctx, b, id)
			}
		}
		return fault.New(fault.NotFound, "layer %s is gone and there is no blob to make it from: pull or build the image again", id)
	})
}

func (s *Store) unpackStored(ctx context.Context, blob, id digest.Digest) error {
	f, err := s.blobs.Open(blob)
	if err != nil {
		return err
	}
	_, err = s.unpack(ctx, f, id)
	return errors.Join(err, f.Close())
}

// hashStored checks that a blob decompresses to id.
func (s *Store) hashStored(blob, id digest.Digest) error {
	f, err := s.blobs.Open(blob)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := layer.Decompress(f)
	if err != nil {
		return err
	}
	defer r.Close()
	h := digest.Canonical.Digester()
	if _, err := io.Copy(h.Hash(), io.LimitReader(r, s.opts.MaxLayerBytes)); err != nil {
		return err
	}
	if h.Digest() != id {
		return fault.New(fault.Invalid, "blob %s unpacks to %s, not to %s as its config says", blob, h.Digest(), id)
	}
	return nil
}

// blobsOf lists the blobs known to unpack to a layer.
func (s *Store) blobsOf(id digest.Digest) []digest.Digest {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var l []digest.Digest
	for b, r := range s.t.blobs.m {
		if r.DiffID == id {
			l = append(l, digest.Digest(b))
		}
	}
	return l
}

// TakeLayer makes a layer of an overlay's upper directory, which must be <TempDir>/fs; the temporary
// directory is moved away. The layer is leased to lease until the lease ends.
func (s *Store) TakeLayer(ctx context.Context, lease *Lease, tmp string) (digest.Digest, error) {
	h := digest.Canonical.Digester()
	n := &countWriter{w: h.Hash()}
	bw := bufio.NewWriterSize(n, 256<<10)
	stats, err := layer.Pack(ctx, filepath.Join(tmp, "fs"), bw)
	if err != nil {
		return "", fmt.Errorf("hash layer: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return "", err
	}
	id := h.Digest()
	lease.Hold(id)
	return id, s.fileLayer(tmp, id, layerRecord{Bytes: stats.Bytes, Inodes: stats.Inodes, TarSize: n.n})
}

type hashReader struct {
	r io.Reader
	h digest.Digester
	n int64
}

func (h *hashReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.h.Hash().Write(p[:n])
	h.n += int64(n)
	return n, err
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
