package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/image/remote"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

const (
	parallelLayers = 4
	layerAttempts  = 4
)

// Pull fetches an image and unpacks its layers while they arrive. Errors: NotFound, Denied, Unavailable,
// Invalid for content that is not what it claims to be, Exhausted.
func (s *Store) Pull(ctx context.Context, ref string, auths []Auth, o PullOptions) (Image, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return Image{}, err
	}
	img, err := s.pull(ctx, r, auths, o)
	if err != nil {
		return Image{}, fmt.Errorf("pull %s: %w", r.Familiar(), err)
	}
	return img, nil
}

type puller struct {
	s      *Store
	repo   *remote.Repo
	lease  *Lease
	report func(Progress)
}

func (s *Store) pull(ctx context.Context, r Ref, auths []Auth, o PullOptions) (Image, error) {
	repo, err := s.remote.Repo(r.Registry, r.Repository, auths)
	if err != nil {
		return Image{}, err
	}
	p := &puller{s: s, repo: repo, lease: s.NewLease(), report: serial(o.Progress)}
	defer p.lease.End()
	want := r.Tag
	if r.Digest != "" {
		want = string(r.Digest)
	}
	top, raw, err := repo.Manifest(ctx, want)
	if err != nil {
		return Image{}, err
	}
	man, manRaw := top, raw
	if top.MediaType.IsIndex() {
		if man, manRaw, err = p.choose(ctx, raw, platformOr(o.Platform)); err != nil {
			return Image{}, err
		}
		if _, err := p.keep(raw); err != nil {
			return Image{}, err
		}
	}
	id, rec, err := p.image(ctx, man, manRaw)
	if err != nil {
		return Image{}, err
	}
	if err := s.record(r, top, man, id, rec); err != nil {
		return Image{}, err
	}
	return s.view(id)
}

// record files what a pull brought: the image, its tag, and the digests by which the repository names it.
func (s *Store) record(r Ref, top, man v1.Descriptor, id digest.Digest, rec imageRecord) error {
	return s.update(func(c *change) error {
		if old, ok := s.t.images.m[string(id)]; ok {
			rec.Added = old.Added
		}
		err := put(c, &s.t.images, string(id), rec)
		for _, d := range []v1.Descriptor{top, man} {
			m := manifestRecord{MediaType: string(d.MediaType), Size: d.Size}
			if d.Digest == top.Digest {
				m.Image = id
				m.Asked = r.Digest != "" || s.t.manifests.m[r.Name()+"@"+d.Digest.String()].Asked
			} else if old, ok := s.t.manifests.m[r.Name()+"@"+d.Digest.String()]; ok {
				m = old
			}
			err = errors.Join(err, put(c, &s.t.manifests, r.Name()+"@"+d.Digest.String(), m))
		}
		if r.Tag != "" && r.Digest == "" {
			err = errors.Join(err, put(c, &s.t.tags, r.String(), tagRecord{Target: digestOf(top.Digest), Image: id}))
		}
		return err
	})
}

func platformOr(p *Platform) Platform {
	if p != nil {
		return *p
	}
	return Platform{OS: "linux", Architecture: runtime.GOARCH}
}

// choose picks the manifest for a platform from an index.
func (p *puller) choose(ctx context.Context, raw []byte, want Platform) (v1.Descriptor, []byte, error) {
	for depth := 0; depth < 4; depth++ {
		idx, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return v1.Descriptor{}, nil, fault.New(fault.Invalid, "parse index: %w", err)
		}
		d, ok := bestMatch(idx.Manifests, want)
		if !ok {
			return v1.Descriptor{}, nil, fault.New(fault.NotFound, "there is no image for platform %s in it", want.String())
		}
		if _, raw, err = p.repo.Manifest(ctx, d.Digest.String()); err != nil {
			return v1.Descriptor{}, nil, err
		}
		if !d.MediaType.IsIndex() {
			return d, raw, nil
		}
	}
	return v1.Descriptor{}, nil, fault.New(fault.Invalid, "indexes are nested too deep")
}

// bestMatch finds a platform; a variant not asked for may be any, the lowest first as listed.
func bestMatch(list []v1.Descriptor, want Platform) (v1.Descriptor, bool) {
	for _, d := range list {
		if d.Platform != nil && d.Platform.OS == want.OS && d.Platform.Architecture == want.Architecture &&
			(want.Variant == "" || d.Platform.Variant == want.Variant || d.Platform.Variant == "") {
			return d, true
		}
	}
	for _, d := range list {
		if d.Platform == nil && d.MediaType.IsImage() && len(list) == 1 {
			return d, true
		}
	}
	return v1.Descriptor{}, false
}

// keep stores a manifest or config.
func (p *puller) keep(raw []byte) (digest.Digest, error) {
	p.lease.Hold(digest.FromBytes(raw))
	return p.s.blobs.Put(raw)
}

// image fetches a manifest's config and layers.
func (p *puller) image(ctx context.Context, d v1.Descriptor, raw []byte) (digest.Digest, imageRecord, error) {
	m, cfg, err := p.config(ctx, d, raw)
	if err != nil {
		return "", imageRecord{}, err
	}
	rec := imageRecord{Manifest: digestOf(d.Digest), Added: time.Now()}
	for _, h := range cfg.RootFS.DiffIDs {
		rec.Layers = append(rec.Layers, digestOf(h))
	}
	p.lease.Hold(rec.Layers...)
	g := run.New(ctx)
	slots := make(chan struct{}, parallelLayers)
	for i, l := range m.Layers {
		p.report(Progress{Layer: l.Digest.String(), Total: l.Size, Status: Downloading})
		g.Go("layer "+l.Digest.String(), func(ctx context.Context) error {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			defer func() { <-slots }()
			return p.layer(ctx, l, rec.Layers[i])
		})
	}
	if err := g.Wait(); err != nil {
		return "", imageRecord{}, err
	}
	if err := ctx.Err(); err != nil {
		return "", imageRecord{}, err
	}
	return digestOf(m.Config.Digest), rec, nil
}

// config stores manifest and config and checks that they fit.
func (p *puller) config(ctx context.Context, d v1.Descriptor, raw []byte) (*v1.Manifest, *v1.ConfigFile, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "parse manifest: %w", err)
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, nil, fault.New(fault.Invalid, "it is an artifact of type %q, not an image", m.Config.MediaType)
	}
	if m.Config.Size > 16<<20 {
		return nil, nil, fault.New(fault.Exhausted, "config is larger than 16 MiB")
	}
	if _, err := p.keep(raw); err != nil {
		return nil, nil, err
	}
	p.lease.Hold(digestOf(m.Config.Digest))
	for _, l := range m.Layers {
		p.lease.Hold(digestOf(l.Digest))
	}
	if !p.s.blobs.Has(digestOf(m.Config.Digest)) {
		rc, err := p.repo.Blob(ctx, m.Config.Digest)
		if err != nil {
			return nil, nil, err
		}
		defer rc.Close()
		if _, _, err := p.s.blobs.Copy(io.LimitReader(rc, 16<<20), digestOf(m.Config.Digest)); err != nil {
			return nil, nil, fmt.Errorf("fetch config: %w", err)
		}
	}
	e, err := p.s.config(digestOf(m.Config.Digest))
	if err != nil {
		return nil, nil, err
	}
	return m, e.file, checkLayers(m, e.file)
}

func checkLayers(m *v1.Manifest, cfg *v1.ConfigFile) error {
	if len(m.Layers) != len(cfg.RootFS.DiffIDs) {
		return fault.New(fault.Invalid, "manifest has %d layers, config %d", len(m.Layers), len(cfg.RootFS.DiffIDs))
	}
	for i, l := range m.Layers {
		if digestOf(l.Digest).Validate() != nil || digestOf(cfg.RootFS.DiffIDs[i]).Validate() != nil || cfg.RootFS.DiffIDs[i].Algorithm != "sha256" {
			return fault.New(fault.Invalid, "layer %d has an invalid digest", i)
		}
		if l.MediaType == types.DockerForeignLayer || !l.MediaType.IsLayer() {
			return fault.New(fault.Unsupported, "layer %d is of type %q", i, l.MediaType)
		}
	}
	return nil
}

// layer makes sure that a layer's blob and directory are there. A connection that breaks is tried again.
func (p *puller) layer(ctx context.Context, l v1.Descriptor, diffID digest.Digest) error {
	blob := digestOf(l.Digest)
	_, unpacked := p.s.layer(diffID)
	if p.s.blobs.Has(blob) && unpacked {
		p.report(Progress{Layer: string(blob), Done: l.Size, Total: l.Size, Status: Present})
		return p.s.pair(ctx, l, diffID)
	}
	var err error
	for range layerAttempts {
		if err = p.fetchLayer(ctx, l, diffID); err == nil {
			p.report(Progress{Layer: string(blob), Done: l.Size, Total: l.Size, Status: Done})
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, io.ErrUnexpectedEOF) && !fault.Is(err, fault.Unavailable) {
			break
		}
	}
	return err
}

func (p *puller) fetchLayer(ctx context.Context, l v1.Descriptor, diffID digest.Digest) error {
	blob := digestOf(l.Digest)
	if !p.s.blobs.Has(blob) {
		rc, err := p.repo.Blob(ctx, l.Digest)
		if err != nil {
			return err
		}
		defer rc.Close()
		w, err := p.s.blobs.Create(blob.Algorithm())
		if err != nil {
			return err
		}
		defer w.Close()
		src := io.TeeReader(&meter{r: rc, p: Progress{Layer: string(blob), Total: l.Size, Status: Downloading}, report: p.report}, w)
		mine := false
		err = p.s.once(ctx, diffID, func() error {
			mine = true
			_, err := p.s.unpack(ctx, src, diffID)
			return err
		})
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, src); err != nil { // unpacked before, or by another pull
			return err
		}
		if _, err := w.Commit(blob); err != nil {
			return err
		}
		if mine {
			return p.s.noteBlob(blob, blobRecord{diffID, string(l.MediaType), l.Size})
		}
	}
	return p.s.pair(ctx, l, diffID)
}

// pair proves that a present blob unpacks to a layer, unpacking it if need be, and notes it. What a manifest
// claims is never noted unproven: a wrong pair would break somebody else's image.
func (s *Store) pair(ctx context.Context, l v1.Descriptor, diffID digest.Digest) error {
	blob := digestOf(l.Digest)
	s.mu.RLock()
	known, ok := s.t.blobs.m[string(blob)]
	s.mu.RUnlock()
	if ok && known.DiffID == diffID {
		return s.once(ctx, diffID, func() error { return s.unpackStored(ctx, blob, diffID) })
	}
	if ok {
		return fault.New(fault.Invalid, "blob %s unpacks to %s, not to %s as its config says", blob, known.DiffID, diffID)
	}
	mine := false
	err := s.once(ctx, diffID, func() error {
		mine = true
		return s.unpackStored(ctx, blob, diffID)
	})
	if err == nil && !mine {
		err = s.hashStored(blob, diffID)
	}
	if err != nil {
		return err
	}
	return s.noteBlob(blob, blobRecord{diffID, string(l.MediaType), l.Size})
}

// noteBlob remembers what a blob unpacks to.
func (s *Store) noteBlob(blob digest.Digest, r blobRecord) error {
	s.mu.RLock()
	old, ok := s.t.blobs.m[string(blob)]
	s.mu.RUnlock()
	if ok && old == r {
		return nil
	}
	return s.update(func(c *change) error { return put(c, &s.t.blobs, string(blob), r) })
}

// meter reports bytes as they come, at most every 256 KiB.
type meter struct {
	r      io.Reader
	p      Progress
	last   int64
	report func(Progress)
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.p.Done += int64(n)
	if m.p.Done-m.last >= 256<<10 {
		m.last = m.p.Done
		m.report(m.p)
	}
	return n, err
}

// serial makes a progress function that may be nil callable from several goroutines.
func serial(f func(Progress)) func(Progress) {
	if f == nil {
		return func(Progress) {}
	}
	var mu sync.Mutex
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		f(p)
	}
}

func decodeManifest(raw []byte) (m v1.Manifest, err error) {
	err = json.Unmarshal(raw, &m)
	return m, err
}
