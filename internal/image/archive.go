package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/image/layer"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/dhow-project/dhow/internal/x/run"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

const maxArchiveEntries = 100_000

// Load reads images from a docker archive (`docker save`) or an OCI layout in a tar, compressed with gzip, zstd or
// not, and gives them in the archive's order. Invalid when it is neither.
func (s *Store) Load(ctx context.Context, r io.Reader, progress func(Progress)) ([]Image, error) {
	l := &archiveLoader{s: s, lease: s.NewLease(), files: map[string]digest.Digest{}, links: map[string]string{}, report: serial(progress)}
	defer l.lease.End()
	if err := l.read(ctx, r); err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	ids, err := l.images(ctx)
	if err != nil {
		return nil, fmt.Errorf("load images: %w", err)
	}
	list := make([]Image, 0, len(ids))
	for _, id := range ids {
		img, err := s.view(id)
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

// archiveLoader holds the archive's files as blobs until its manifest, which may come last, says what they are.
type archiveLoader struct {
	s      *Store
	lease  *Lease
	files  map[string]digest.Digest
	links  map[string]string
	report func(Progress)
}

func (l *archiveLoader) read(ctx context.Context, r io.Reader) error {
	plain, err := layer.Decompress(r)
	if err != nil {
		return err
	}
	defer plain.Close()
	tr := tar.NewReader(bufio.NewReaderSize(plain, 256<<10))
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fault.New(fault.Invalid, "read archive: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if n > maxArchiveEntries {
			return fault.New(fault.Exhausted, "archive has more than %d entries", maxArchiveEntries)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		switch h.Typeflag {
		case tar.TypeReg:
			if err := l.file(name, h.Size, tr); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
		case tar.TypeSymlink:
			l.links[name] = strings.TrimPrefix(path.Join("/", path.Dir(name), h.Linkname), "/")
		case tar.TypeLink:
			l.links[name] = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		}
	}
}

func (l *archiveLoader) file(name string, size int64, r io.Reader) error {
	if size > l.s.opts.MaxLayerBytes {
		return fault.New(fault.Exhausted, "it is larger than %d bytes", l.s.opts.MaxLayerBytes)
	}
	w, err := l.s.blobs.Create(digest.Canonical)
	if err != nil {
		return err
	}
	defer w.Close()
	m := &meter{r: r, p: Progress{Layer: name, Total: size, Status: Downloading}, report: l.report}
	if _, err := io.Copy(w, m); err != nil {
		return err
	}
	d := w.Digest()
	l.lease.Hold(d)
	l.files[name] = d
	if l.s.blobs.Has(d) {
		return nil
	}
	_, err = w.Commit("")
	return err
}

// blob finds a file of the archive, through links.
func (l *archiveLoader) blob(name string) (digest.Digest, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for range 8 {
		if d, ok := l.files[name]; ok {
			return d, nil
		}
		to, ok := l.links[name]
		if !ok {
			break
		}
		name = to
	}
	return "", fault.New(fault.Invalid, "archive names %s but does not hold it", name)
}

func (l *archiveLoader) json(name string, into any) error {
	d, err := l.blob(name)
	if err != nil {
		return err
	}
	raw, err := l.s.blobs.Read(d)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fault.New(fault.Invalid, "parse %s: %w", name, err)
	}
	return nil
}

// images files what the archive's table of contents lists. Docker's is preferred: an archive with both has the
// names there.
func (l *archiveLoader) images(ctx context.Context) ([]digest.Digest, error) {
	if _, err := l.blob("manifest.json"); err == nil {
		return l.docker(ctx)
	}
	if _, err := l.blob("index.json"); err == nil {
		return l.layout(ctx)
	}
	return nil, fault.New(fault.Invalid, "this is neither a docker archive nor an OCI layout: it has no manifest.json and no index.json")
}

// dockerEntry is one image in manifest.json of a docker archive.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (l *archiveLoader) docker(ctx context.Context) ([]digest.Digest, error) {
	var list []dockerEntry
	if err := l.json("manifest.json", &list); err != nil {
		return nil, err
	}
	var ids []digest.Digest
	for _, e := range list {
		cfg, err := l.blob(e.Config)
		if err != nil {
			return nil, err
		}
		m := v1.Manifest{SchemaVersion: 2, MediaType: typeManifest, Config: v1.Descriptor{MediaType: typeConfig, Digest: hashOf(cfg)}, Layers: []v1.Descriptor{}}
		if m.Config.Size, err = l.s.blobs.Size(cfg); err != nil {
			return nil, err
		}
		for _, p := range e.Layers {
			d, err := l.layerBlob(p)
			if err != nil {
				return nil, err
			}
			m.Layers = append(m.Layers, d)
		}
		raw, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		id, err := l.image(ctx, raw, e.RepoTags)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (l *archiveLoader) layerBlob(name string) (v1.Descriptor, error) {
	b, err := l.blob(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	f, err := l.s.blobs.Open(b)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: types.OCIUncompressedLayer, Digest: hashOf(b)}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		d.MediaType = types.OCILayer
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d.MediaType = types.OCILayerZStd
	}
	d.Size, err = l.s.blobs.Size(b)
	return d, err
}

// layout files the images of index.json; of a multi-platform one, this machine's.
func (l *archiveLoader) layout(ctx context.Context) ([]digest.Digest, error) {
	var idx v1.IndexManifest
	if err := l.json("index.json", &idx); err != nil {
		return nil, err
	}
	var ids []digest.Digest
	for _, d := range idx.Manifests {
		raw, err := l.s.blobs.Read(digestOf(d.Digest))
		for depth := 0; err == nil && d.MediaType.IsIndex() && depth < 4; depth++ {
			var inner v1.IndexManifest
			if err = json.Unmarshal(raw, &inner); err != nil {
				break
			}
			best, ok := bestMatch(inner.Manifests, platformOr(nil))
			if !ok {
				err = fault.New(fault.NotFound, "there is no image for this platform in it")
				break
			}
			d.MediaType, d.Digest = best.MediaType, best.Digest
			raw, err = l.s.blobs.Read(digestOf(best.Digest))
		}
		if err != nil {
			return nil, err
		}
		id, err := l.image(ctx, raw, layoutNames(d.Annotations))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// layoutNames reads the names containerd and docker, and then the OCI spec, put on an index entry. The latter may be
// just a tag, which names nothing.
func layoutNames(a map[string]string) []string {
	if n := a["io.containerd.image.name"]; n != "" {
		return []string{n}
	}
	if n := a["org.opencontainers.image.ref.name"]; strings.ContainsAny(n, "/:") {
		return []string{n}
	}
	return nil
}

// image unpacks the layers of a manifest whose blobs are all here and files it.
func (l *archiveLoader) image(ctx context.Context, raw []byte, names []string) (digest.Digest, error) {
	m, err := decodeManifest(raw)
	if err != nil {
		return "", fault.New(fault.Invalid, "parse manifest: %w", err)
	}
	mdig := digest.FromBytes(raw)
	l.lease.Hold(mdig)
	if _, err := l.s.blobs.Put(raw); err != nil {
		return "", err
	}
	id, rec, err := l.s.unpackManifest(ctx, l.lease, mdig, &m, l.report)
	if err != nil {
		return "", err
	}
	err = l.s.update(func(c *change) error {
		err := put(c, &l.s.t.images, string(id), rec)
		for _, n := range names {
			r, perr := tagOf(n)
			if perr != nil {
				return perr
			}
			err = errors.Join(err, put(c, &l.s.t.tags, r.String(), tagRecord{Target: mdig, Image: id}))
		}
		return err
	})
	return id, err
}

// unpackManifest checks a manifest against its config, both here with all blobs, and unpacks its layers.
func (s *Store) unpackManifest(ctx context.Context, lease *Lease, mdig digest.Digest, m *v1.Manifest, report func(Progress)) (digest.Digest, imageRecord, error) {
	id := digestOf(m.Config.Digest)
	e, err := s.config(id)
	if err != nil {
		return "", imageRecord{}, err
	}
	if err := checkLayers(m, e.file); err != nil {
		return "", imageRecord{}, err
	}
	rec := imageRecord{Manifest: mdig, Added: time.Now()}
	g := run.New(ctx)
	slots := make(chan struct{}, parallelLayers)
	for i, h := range e.file.RootFS.DiffIDs {
		diff, l := digestOf(h), m.Layers[i]
		rec.Layers = append(rec.Layers, diff)
		lease.Hold(diff, digestOf(l.Digest))
		g.Go("layer "+l.Digest.String(), func(ctx context.Context) error {
			slots <- struct{}{}
			defer func() { <-slots }()
			return s.unpackBlob(ctx, l, diff, report)
		})
	}
	return id, rec, g.Wait()
}

func (s *Store) unpackBlob(ctx context.Context, l v1.Descriptor, diff digest.Digest, report func(Progress)) error {
	report(Progress{Layer: l.Digest.String(), Total: l.Size, Status: Unpacking})
	if s.blobs.Has(digestOf(l.Digest)) {
		if err := s.pair(ctx, l, diff); err != nil {
			return err
		}
	} else if _, ok := s.layer(diff); !ok || digestOf(l.Digest) != diff {
		return fault.New(fault.NotFound, "blob %s is not here", l.Digest)
	}
	report(Progress{Layer: l.Digest.String(), Done: l.Size, Total: l.Size, Status: Done})
	return nil
}
