package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/image/content"
	"github.com/dhow-project/dhow/internal/x/fault"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// What a registry serving this store needs: manifests of a repository, written and read as they are.

// Manifest is one manifest or index as it is stored.
type Manifest struct {
	Digest    digest.Digest
	MediaType string
	Raw       []byte
}

// NewBlob starts to write a blob; hold a lease on it before Commit, or it may be collected before a manifest names it.
func (s *Store) NewBlob(alg digest.Algorithm) (*content.Writer, error) { return s.blobs.Create(alg) }

// Manifest finds what r names: a tag, or a digest that belongs to the repository. NotFound.
func (s *Store) Manifest(r Ref) (Manifest, error) {
	d := r.Digest
	s.mu.RLock()
	if d == "" {
		d = s.t.tags.m[r.String()].Target
	} else if !s.owns(r.Name(), d) {
		d = ""
	}
	s.mu.RUnlock()
	if d == "" && r.Digest != "" && s.inIndexOf(r) {
		d = r.Digest
	}
	if d == "" {
		return Manifest{}, fault.New(fault.NotFound, "manifest %s is not here", r)
	}
	raw, err := s.blobs.Read(d)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{d, mediaTypeOf(raw), raw}, nil
}

// owns reports whether a manifest belongs to a repository; s.mu is held.
func (s *Store) owns(repo string, d digest.Digest) bool {
	if _, ok := s.t.manifests.m[repo+"@"+string(d)]; ok {
		return true
	}
	for name, t := range s.t.tags.m {
		if t.Target == d && strings.HasPrefix(name, repo+":") {
			return true
		}
	}
	return false
}

// inIndexOf looks for a digest among the children of a repository's tags.
func (s *Store) inIndexOf(r Ref) bool {
	s.mu.RLock()
	var tops []digest.Digest
	for name, t := range s.t.tags.m {
		if strings.HasPrefix(name, r.Name()+":") {
			tops = append(tops, t.Target)
		}
	}
	s.mu.RUnlock()
	for _, top := range tops {
		raw, err := s.blobs.Read(top)
		if err != nil || !types.MediaType(mediaTypeOf(raw)).IsIndex() {
			continue
		}
		idx, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err == nil && slices.ContainsFunc(idx.Manifests, func(d v1.Descriptor) bool { return digestOf(d.Digest) == r.Digest }) {
			return s.blobs.Has(r.Digest)
		}
	}
	return false
}

func mediaTypeOf(raw []byte) string {
	var m struct {
		MediaType string
		Manifests json.RawMessage
	}
	switch {
	case json.Unmarshal(raw, &m) != nil:
		return ""
	case m.MediaType != "":
		return m.MediaType
	case m.Manifests != nil:
		return string(types.OCIImageIndex)
	}
	return string(types.OCIManifestSchema1)
}

// PutManifest files a manifest or index under r, whose blobs must be here already. An image is unpacked before it
// returns, so it can run at once. Errors: Invalid, NotFound for a missing blob.
func (s *Store) PutManifest(ctx context.Context, r Ref, mediaType string, raw []byte) (Manifest, error) {
	alg := digest.Canonical
	if r.Digest != "" {
		alg = r.Digest.Algorithm()
	}
	d := alg.FromBytes(raw)
	if r.Digest != "" && r.Digest != d {
		return Manifest{}, fault.New(fault.Invalid, "manifest is %s, not %s", d, r.Digest)
	}
	var m struct {
		v1.Manifest
		Manifests    []v1.Descriptor
		ArtifactType string
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, fault.New(fault.Invalid, "parse manifest: %w", err)
	}
	if m.SchemaVersion != 2 {
		return Manifest{}, fault.New(fault.Invalid, "manifest schema version %d is not supported", m.SchemaVersion)
	}
	if mediaType == "" {
		mediaType = mediaTypeOf(raw)
	}
	lease := s.NewLease()
	defer lease.End()
	lease.Hold(d)
	rec := manifestRecord{MediaType: mediaType, Size: int64(len(raw)), ArtifactType: m.ArtifactType}
	if m.Subject != nil {
		rec.Subject = digestOf(m.Subject.Digest)
	}
	if !types.MediaType(mediaType).IsIndex() {
		if err := s.checkBlobs(lease, &m.Manifest); err != nil {
			return Manifest{}, err
		}
		if rec.ArtifactType == "" {
			rec.ArtifactType = string(m.Config.MediaType)
		}
	}
	if err := s.putBytes(d, raw); err != nil {
		return Manifest{}, err
	}
	img, err := s.runnable(ctx, lease, r, d, mediaType, &m.Manifest, m.Manifests)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{d, mediaType, raw}, s.update(func(c *change) error {
		if img != nil {
			rec.Image = img.id
			if err := put(c, &s.t.images, string(img.id), img.rec); err != nil {
				return err
			}
		}
		err := put(c, &s.t.manifests, r.Name()+"@"+string(d), rec)
		if r.Tag != "" {
			err = errors.Join(err, put(c, &s.t.tags, r.Name()+":"+r.Tag, tagRecord{Target: d, Image: rec.Image}))
		}
		return err
	})
}

func (s *Store) putBytes(d digest.Digest, raw []byte) error {
	w, err := s.blobs.Create(d.Algorithm())
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(raw); err != nil {
		return err
	}
	_, err = w.Commit(d)
	return err
}

func (s *Store) checkBlobs(lease *Lease, m *v1.Manifest) error {
	for _, l := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		d := digestOf(l.Digest)
		if d.Validate() != nil {
			return fault.New(fault.Invalid, "manifest names an invalid digest %q", d)
		}
		lease.Hold(d)
		if _, err := s.BlobSize(d); err != nil {
			return fmt.Errorf("manifest names blob %s: %w", d, err)
		}
	}
	return nil
}

type filed struct {
	id  digest.Digest
	rec imageRecord
}

// runnable unpacks what was pushed when it is an image, or the image for this machine of an index. What only looks like
// an image is kept as an artifact.
func (s *Store) runnable(ctx context.Context, lease *Lease, r Ref, d digest.Digest, mediaType string, m *v1.Manifest, children []v1.Descriptor) (*filed, error) {
	if types.MediaType(mediaType).IsIndex() {
		best, ok := bestMatch(children, platformOr(nil))
		if !ok {
			return nil, nil
		}
		s.mu.RLock()
		child, ok := s.t.manifests.m[r.Name()+"@"+best.Digest.String()]
		rec, known := s.t.images.m[string(child.Image)]
		s.mu.RUnlock()
		if !ok || !known {
			return nil, nil
		}
		return &filed{child.Image, rec}, nil
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, nil
	}
	id, rec, err := s.unpackManifest(ctx, lease, d, m, func(Progress) {})
	if ctx.Err() != nil || fault.Is(err, fault.Exhausted) {
		return nil, errors.Join(err, ctx.Err())
	}
	if err != nil {
		s.log.Info("pushed manifest cannot run", "ref", r.String(), "err", err)
		return nil, nil
	}
	return &filed{id, rec}, nil
}

// DeleteManifest removes a digest, with its tags, from a repository, or just a tag. NotFound.
func (s *Store) DeleteManifest(r Ref) error {
	if r.Digest == "" {
		return s.Untag(r.String())
	}
	return s.update(func(c *change) error {
		key := r.Name() + "@" + string(r.Digest)
		_, ok := s.t.manifests.m[key]
		err := del(c, &s.t.manifests, key)
		for name, t := range s.t.tags.m {
			if t.Target == r.Digest && strings.HasPrefix(name, r.Name()+":") {
				ok = true
				err = errors.Join(err, del(c, &s.t.tags, name))
			}
		}
		if !ok {
			return fault.New(fault.NotFound, "manifest %s is not here", r)
		}
		return err
	})
}

// RepoTags lists the tags of registry/repository, sorted. NotFound when nothing is known of it.
func (s *Store) RepoTags(repo string) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tags, known := []string{}, false
	for name := range s.t.tags.m {
		if t, ok := strings.CutPrefix(name, repo+":"); ok && !strings.Contains(t, "/") {
			tags = append(tags, t)
		}
	}
	for name := range s.t.manifests.m {
		known = known || strings.HasPrefix(name, repo+"@")
	}
	if !known && len(tags) == 0 {
		return nil, fault.New(fault.NotFound, "repository %s is not here", repo)
	}
	slices.Sort(tags)
	return tags, nil
}

// Repos lists all registry/repository names, sorted.
func (s *Store) Repos() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var l []string
	for name := range s.t.tags.m {
		l = append(l, name[:strings.LastIndexByte(name, ':')])
	}
	for name := range s.t.manifests.m {
		repo, _, _ := strings.Cut(name, "@")
		l = append(l, repo)
	}
	slices.Sort(l)
	return slices.Compact(l)
}

// Referrers describes the manifests of a repository whose subject is d, of one artifact type when it is not empty.
func (s *Store) Referrers(repo string, d digest.Digest, artifactType string) []v1.Descriptor {
	s.mu.RLock()
	found := []v1.Descriptor{}
	for name, m := range s.t.manifests.m {
		rest, ok := strings.CutPrefix(name, repo+"@")
		if ok && m.Subject == d && (artifactType == "" || m.ArtifactType == artifactType) {
			found = append(found, v1.Descriptor{MediaType: types.MediaType(m.MediaType), Size: m.Size, Digest: hashOf(digest.Digest(rest)), ArtifactType: m.ArtifactType})
		}
	}
	s.mu.RUnlock()
	for i, f := range found {
		var m struct{ Annotations map[string]string }
		if raw, err := s.blobs.Read(digestOf(f.Digest)); err == nil && json.Unmarshal(raw, &m) == nil {
			found[i].Annotations = m.Annotations
		}
	}
	slices.SortFunc(found, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.Hex, b.Digest.Hex) })
	return found
}
