package image

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// Media types used for what is made here.
const (
	typeLayer     = types.OCIUncompressedLayer
	typeLayerGzip = types.OCILayer
	typeConfig    = types.OCIConfigJSON
	typeManifest  = types.OCIManifestSchema1
)

// NewImage files a config and its layers, which must be present, as an image and tags it. cfg.RootFS is set from
// layers. Layers without a blob are served as plain tar, so that nothing is compressed or copied before
// somebody wants to push.
func (s *Store) NewImage(cfg *v1.ConfigFile, layers []digest.Digest, tags ...string) (Image, error) {
	refs := make([]string, len(tags))
	for i, t := range tags {
		r, err := tagOf(t)
		if err != nil {
			return Image{}, err
		}
		refs[i] = r.String()
	}
	c := *cfg
	c.RootFS = v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, hashOf(l))
	}
	raw, err := json.Marshal(&c)
	if err != nil {
		return Image{}, err
	}
	id := digest.FromBytes(raw)
	lease := s.NewLease()
	defer lease.End()
	lease.Hold(id)
	if _, err := s.blobs.Put(raw); err != nil {
		return Image{}, fmt.Errorf("write image config: %w", err)
	}
	man, err := s.manifestFor(id, int64(len(raw)), layers, false)
	if err != nil {
		return Image{}, err
	}
	lease.Hold(digest.FromBytes(man))
	mdig, err := s.blobs.Put(man)
	if err != nil {
		return Image{}, fmt.Errorf("write image manifest: %w", err)
	}
	if s.named(id, refs) {
		return s.view(id)
	}
	err = s.update(func(c *change) error {
		rec, ok := s.t.images.m[string(id)]
		if !ok {
			rec = imageRecord{Manifest: mdig, Layers: slices.Clone(layers), Built: true, Added: time.Now()}
		}
		if err := put(c, &s.t.images, string(id), rec); err != nil {
			return err
		}
		for _, r := range refs {
			if err := put(c, &s.t.tags, r, tagRecord{Target: rec.Manifest, Image: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Image{}, err
	}
	return s.view(id)
}

// named reports whether an image is here and has these names already.
func (s *Store) named(id digest.Digest, refs []string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.t.images.m[string(id)]
	for _, r := range refs {
		ok = ok && s.t.tags.m[r].Image == id
	}
	return ok
}

// manifestFor writes an OCI manifest. Each layer is named by a present blob, else by its plain tar; with compressed
// set a missing blob is an error.
func (s *Store) manifestFor(config digest.Digest, configSize int64, layers []digest.Digest, compressed bool) ([]byte, error) {
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: typeManifest, Layers: []v1.Descriptor{},
		Config: v1.Descriptor{MediaType: typeConfig, Size: configSize, Digest: hashOf(config)},
	}
	for _, l := range layers {
		d, ok := s.blobDescriptor(l)
		if !ok && compressed {
			return nil, fault.New(fault.Internal, "layer %s has no blob", l)
		}
		m.Layers = append(m.Layers, d)
	}
	return json.Marshal(m)
}

// blobDescriptor describes a layer's smallest present blob, or its plain tar and false.
func (s *Store) blobDescriptor(l digest.Digest) (v1.Descriptor, bool) {
	best := v1.Descriptor{}
	for _, b := range s.blobsOf(l) {
		s.mu.RLock()
		r := s.t.blobs.m[string(b)]
		s.mu.RUnlock()
		if (best.Size == 0 || r.Size < best.Size) && s.blobs.Has(b) {
			best = v1.Descriptor{MediaType: ociLayerType(types.MediaType(r.MediaType)), Size: r.Size, Digest: hashOf(b)}
		}
	}
	if best.Size > 0 {
		return best, true
	}
	rec, _ := s.layer(l)
	return v1.Descriptor{MediaType: typeLayer, Size: rec.TarSize, Digest: hashOf(l)}, false
}

func ociLayerType(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	}
	return t
}

// Commit makes an image of base's layers and one more, the overlay upper directory tmp/fs (tmp from TempDir),
// which is moved, not copied. change edits a copy of base's config.
func (s *Store) Commit(ctx context.Context, base Image, tmp string, change func(*v1.ConfigFile)) (Image, error) {
	lease := s.NewLease()
	defer lease.End()
	lease.Hold(base.Layers...)
	id, err := s.TakeLayer(ctx, lease, tmp)
	if err != nil {
		return Image{}, fmt.Errorf("commit: %w", err)
	}
	cfg := &v1.ConfigFile{}
	if base.Config != nil {
		cfg = base.Config.DeepCopy()
	}
	if change != nil {
		change(cfg)
	}
	return s.NewImage(cfg, append(slices.Clone(base.Layers), id))
}

func hashOf(d digest.Digest) v1.Hash {
	return v1.Hash{Algorithm: string(d.Algorithm()), Hex: d.Encoded()}
}

func digestOf(h v1.Hash) digest.Digest { return digest.Digest(h.String()) }
