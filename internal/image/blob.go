package image

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"

	"github.com/dhow-project/dhow/internal/image/layer"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/google/go-containerregistry/pkg/v1/types"
	kgzip "github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
)

// OpenBlob opens anything a manifest of this store names: a stored blob, or a layer that has none as the plain tar it
// would be. The tar is made while it is read and its digest checked at its end. A stored blob is an *os.File.
func (s *Store) OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	if n, err := s.blobs.Size(d); err == nil {
		f, err := s.blobs.Open(d)
		return f, n, err
	} else if !fault.Is(err, fault.NotFound) {
		return nil, 0, err
	}
	rec, ok := s.layer(d)
	if !ok {
		return nil, 0, fault.New(fault.NotFound, "blob %s is not here", d)
	}
	return s.packLayer(ctx, d), rec.TarSize, nil
}

// BlobSize is OpenBlob without opening; NotFound.
func (s *Store) BlobSize(d digest.Digest) (int64, error) {
	n, err := s.blobs.Size(d)
	if fault.Is(err, fault.NotFound) {
		if rec, ok := s.layer(d); ok {
			return rec.TarSize, nil
		}
	}
	return n, err
}

// packLayer streams a layer's tar. Only layers made here have no blob, so the bytes are the ones hashed then.
func (s *Store) packLayer(ctx context.Context, id digest.Digest) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h := digest.Canonical.Digester()
		bw := bufio.NewWriterSize(io.MultiWriter(pw, h.Hash()), 256<<10)
		_, err := layer.Pack(ctx, s.layerDir(id)+"/fs", bw)
		if err == nil {
			err = bw.Flush()
		}
		if err == nil && h.Digest() != id {
			err = fault.New(fault.Internal, "layer %s was changed on disk: its tar is now %s", id, h.Digest())
		}
		pw.CloseWithError(err)
	}()
	return &packReader{pr, cancel, done}
}

type packReader struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (p *packReader) Close() error {
	p.cancel()
	err := p.PipeReader.Close()
	<-p.done
	return err
}

// compressLayer makes sure that a layer has a blob, gzip'd by the fastest level that is still small.
func (s *Store) compressLayer(ctx context.Context, lease *Lease, id digest.Digest, report func(Progress)) error {
	if _, ok := s.blobDescriptor(id); ok {
		return nil
	}
	rec, ok := s.layer(id)
	if !ok {
		return fault.New(fault.NotFound, "layer %s is not here", id)
	}
	r := s.packLayer(ctx, id)
	defer r.Close()
	w, err := s.blobs.Create(digest.Canonical)
	if err != nil {
		return err
	}
	defer w.Close()
	z, err := kgzip.NewWriterLevel(w, gzip.DefaultCompression)
	if err != nil {
		return err
	}
	m := &meter{r: r, p: Progress{Layer: string(id), Total: rec.TarSize, Status: Packing}, report: report}
	if _, err := io.Copy(z, m); err != nil {
		return fmt.Errorf("compress layer: %w", err)
	}
	if err := z.Close(); err != nil {
		return err
	}
	lease.Hold(w.Digest())
	d, err := w.Commit("")
	if err != nil {
		return err
	}
	return s.noteBlob(d, blobRecord{DiffID: id, MediaType: string(types.OCILayer), Size: w.Size()})
}
