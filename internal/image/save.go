package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// Save writes images as one tar that is an OCI layout and a docker archive at once: `docker load`, skopeo and podman
// read it. Layers go as they are stored; those built here as plain tar.
func (s *Store) Save(ctx context.Context, w io.Writer, refs ...string) error {
	a := &archiveWriter{s: s, tw: tar.NewWriter(w), have: map[digest.Digest]bool{}, lease: s.NewLease()}
	defer a.lease.End()
	for _, ref := range refs {
		if err := a.add(ctx, ref); err != nil {
			return fmt.Errorf("save %s: %w", ref, err)
		}
	}
	if err := a.finish(); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

type archiveWriter struct {
	s     *Store
	tw    *tar.Writer
	lease *Lease
	have  map[digest.Digest]bool
	index v1.IndexManifest
	list  []dockerEntry
}

func (a *archiveWriter) add(ctx context.Context, ref string) error {
	img, err := a.s.Get(ref)
	if err != nil {
		return err
	}
	a.lease.Hold(append([]digest.Digest{img.ID, img.Manifest}, img.Layers...)...)
	raw, err := a.s.blobs.Read(img.Manifest)
	if err != nil {
		return err
	}
	m, err := decodeManifest(raw)
	if err != nil {
		return err
	}
	e := dockerEntry{Config: blobPath(img.ID), RepoTags: namesFor(ref, img)}
	for _, l := range m.Layers {
		e.Layers = append(e.Layers, blobPath(digestOf(l.Digest)))
		a.lease.Hold(digestOf(l.Digest))
	}
	for _, d := range append([]v1.Descriptor{{Digest: hashOf(img.Manifest)}, m.Config}, m.Layers...) {
		if err := a.blob(ctx, digestOf(d.Digest)); err != nil {
			return err
		}
	}
	a.list = append(a.list, e)
	mt := m.MediaType
	if mt == "" {
		mt = types.OCIManifestSchema1
	}
	base := v1.Descriptor{MediaType: mt, Size: int64(len(raw)), Digest: hashOf(img.Manifest),
		Platform: &v1.Platform{OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant}}
	if len(e.RepoTags) == 0 {
		a.index.Manifests = append(a.index.Manifests, base)
	}
	for _, n := range e.RepoTags {
		d := base
		r, err := ParseRef(n)
		if err != nil {
			return err
		}
		d.Annotations = map[string]string{"io.containerd.image.name": r.String(), "org.opencontainers.image.ref.name": r.Tag}
		a.index.Manifests = append(a.index.Manifests, d)
	}
	return nil
}

// namesFor gives the names an archive carries: the one asked for, or all when asked by ID.
func namesFor(ref string, img Image) []string {
	if r, err := ParseRef(ref); err == nil {
		for _, t := range img.Tags {
			if t == r.String() {
				return []string{r.Familiar()}
			}
		}
	}
	names := []string{}
	for _, t := range img.Tags {
		if r, err := ParseRef(t); err == nil {
			names = append(names, r.Familiar())
		}
	}
	return names
}

func blobPath(d digest.Digest) string { return "blobs/" + string(d.Algorithm()) + "/" + d.Encoded() }

func (a *archiveWriter) blob(ctx context.Context, d digest.Digest) error {
	if a.have[d] {
		return nil
	}
	a.have[d] = true
	r, n, err := a.s.OpenBlob(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := a.header(blobPath(d), n); err != nil {
		return err
	}
	_, err = io.Copy(a.tw, r)
	return err
}

func (a *archiveWriter) header(name string, size int64) error {
	return a.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)})
}

func (a *archiveWriter) finish() error {
	a.index.SchemaVersion, a.index.MediaType = 2, types.OCIImageIndex
	for _, f := range []struct {
		name string
		v    any
	}{{"manifest.json", a.list}, {"index.json", a.index}, {"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}}} {
		b, err := json.Marshal(f.v)
		if err != nil {
			return err
		}
		if err := a.header(f.name, int64(len(b))); err != nil {
			return err
		}
		if _, err := a.tw.Write(b); err != nil {
			return err
		}
	}
	return a.tw.Close()
}
