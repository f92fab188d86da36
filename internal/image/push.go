package image

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/dhow-project/dhow/internal/image/remote"
	"github.com/dhow-project/dhow/internal/x/run"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// Push sends the image that ref names to the registry that ref names. Layers that were built here are compressed once
// for it. Errors as Pull's.
func (s *Store) Push(ctx context.Context, ref string, auths []Auth, progress func(Progress)) error {
	r, err := tagOf(ref)
	if err != nil {
		return err
	}
	if err := s.push(ctx, r, auths, serial(progress)); err != nil {
		return fmt.Errorf("push %s: %w", r.Familiar(), err)
	}
	return nil
}

func (s *Store) push(ctx context.Context, r Ref, auths []Auth, report func(Progress)) error {
	img, err := s.Get(r.String())
	if err != nil {
		return err
	}
	lease := s.NewLease()
	defer lease.End()
	lease.Hold(append([]digest.Digest{img.ID, img.Manifest}, img.Layers...)...)
	raw, err := s.portable(ctx, lease, img, report)
	if err != nil {
		return err
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return err
	}
	repo, err := s.remote.Repo(r.Registry, r.Repository, auths)
	if err != nil {
		return err
	}
	if err := s.upload(ctx, repo, append(slices.Clone(m.Layers), m.Config), report); err != nil {
		return err
	}
	if err := repo.PutManifest(ctx, r.Tag, m.MediaType, raw); err != nil {
		return err
	}
	d := digest.FromBytes(raw)
	return s.update(func(c *change) error {
		return put(c, &s.t.manifests, r.Name()+"@"+string(d), manifestRecord{MediaType: string(m.MediaType), Size: int64(len(raw)), Image: img.ID})
	})
}

// portable gives a manifest for img whose layers all have blobs: the one it came with, or one made now.
func (s *Store) portable(ctx context.Context, lease *Lease, img Image, report func(Progress)) ([]byte, error) {
	raw, err := s.blobs.Read(img.Manifest)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(m.Layers, func(l v1.Descriptor) bool { return !s.blobs.Has(digestOf(l.Digest)) }) {
		if m.MediaType == "" {
			m.MediaType = types.OCIManifestSchema1
		}
		return raw, nil
	}
	g := run.New(ctx)
	slots := make(chan struct{}, parallelLayers)
	for _, l := range slices.Compact(slices.Sorted(slices.Values(img.Layers))) {
		g.Go("layer", func(ctx context.Context) error {
			slots <- struct{}{}
			defer func() { <-slots }()
			return s.compressLayer(ctx, lease, l, report)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if raw, err = s.manifestFor(img.ID, m.Config.Size, img.Layers, true); err != nil {
		return nil, err
	}
	lease.Hold(digest.FromBytes(raw))
	_, err = s.blobs.Put(raw)
	return raw, err
}

func (s *Store) upload(ctx context.Context, repo *remote.Repo, list []v1.Descriptor, report func(Progress)) error {
	g := run.New(ctx)
	slots := make(chan struct{}, parallelLayers)
	seen := map[v1.Hash]bool{}
	for _, d := range list {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		g.Go("blob "+d.Digest.String(), func(ctx context.Context) error {
			slots <- struct{}{}
			defer func() { <-slots }()
			report(Progress{Layer: d.Digest.String(), Total: d.Size, Status: Uploading})
			if err := repo.Upload(ctx, &blobLayer{s, d, report}); err != nil {
				return err
			}
			report(Progress{Layer: d.Digest.String(), Done: d.Size, Total: d.Size, Status: Done})
			return nil
		})
	}
	return g.Wait()
}

// blobLayer is a stored blob as go-containerregistry wants it.
type blobLayer struct {
	s      *Store
	d      v1.Descriptor
	report func(Progress)
}

func (b *blobLayer) Digest() (v1.Hash, error)             { return b.d.Digest, nil }
func (b *blobLayer) DiffID() (v1.Hash, error)             { return b.d.Digest, nil }
func (b *blobLayer) Size() (int64, error)                 { return b.d.Size, nil }
func (b *blobLayer) MediaType() (types.MediaType, error)  { return b.d.MediaType, nil }
func (b *blobLayer) Uncompressed() (io.ReadCloser, error) { return b.Compressed() }

func (b *blobLayer) Compressed() (io.ReadCloser, error) {
	f, err := b.s.blobs.Open(digestOf(b.d.Digest))
	if err != nil {
		return nil, err
	}
	m := &meter{r: f, p: Progress{Layer: b.d.Digest.String(), Total: b.d.Size, Status: Uploading}, report: b.report}
	return struct {
		io.Reader
		io.Closer
	}{m, f}, nil
}
