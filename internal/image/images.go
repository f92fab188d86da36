package image

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/x/fault"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
)

// configEntry is a parsed config; configs never change.
type configEntry struct {
	file *v1.ConfigFile
	raw  []byte
}

// Get finds an image by reference, by ID ("sha256:…" or hex), or by a unique prefix of an ID of at least
// 3 characters; NotFound, or Invalid when a prefix is not unique.
func (s *Store) Get(ref string) (Image, error) {
	id, err := s.find(ref)
	if err != nil {
		return Image{}, err
	}
	return s.view(id)
}

func (s *Store) find(ref string) (digest.Digest, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, ok := s.t.images.m[ref]; ok {
		return digest.Digest(ref), nil
	}
	r, err := ParseRef(ref)
	if err == nil {
		if id := s.lookup(r); id != "" {
			return id, nil
		}
	}
	id, perr := s.findPrefix(strings.TrimPrefix(ref, "sha256:"))
	if perr != nil || id != "" {
		return id, perr
	}
	if err != nil {
		return "", err
	}
	return "", fault.New(fault.NotFound, "image %s is not here: pull or build it first", r.Familiar())
}

// lookup finds a reference; s.mu is held. With a digest the tag does not matter.
func (s *Store) lookup(r Ref) digest.Digest {
	if r.Digest == "" {
		return s.t.tags.m[r.String()].Image
	}
	if m, ok := s.t.manifests.m[r.Name()+"@"+string(r.Digest)]; ok && m.Image != "" {
		return m.Image
	}
	return ""
}

func (s *Store) findPrefix(p string) (digest.Digest, error) {
	if len(p) < 3 || strings.Trim(p, "0123456789abcdef") != "" {
		return "", nil
	}
	found := ""
	for id := range s.t.images.m {
		if strings.HasPrefix(strings.TrimPrefix(id, "sha256:"), p) {
			if found != "" {
				return "", fault.New(fault.Invalid, "more than one image ID begins with %q: give more of it", p)
			}
			found = id
		}
	}
	return digest.Digest(found), nil
}

// view assembles what callers see.
func (s *Store) view(id digest.Digest) (Image, error) {
	cfg, err := s.config(id)
	if err != nil {
		return Image{}, fmt.Errorf("read image %s: %w", id, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	rec, ok := s.t.images.m[string(id)]
	if !ok {
		return Image{}, fault.New(fault.NotFound, "image %s is not here", id)
	}
	img := Image{ID: id, Manifest: rec.Manifest, Config: cfg.file, Layers: rec.Layers, Created: cfg.file.Created.Time}
	if img.Created.IsZero() {
		img.Created = rec.Added // builds leave it out, so that the same content is the same image
	}
	for name, t := range s.t.tags.m {
		if t.Image == id {
			img.Tags = append(img.Tags, name)
		}
	}
	for name, m := range s.t.manifests.m {
		if m.Image == id {
			img.RepoDigests = append(img.RepoDigests, name)
		}
	}
	slices.Sort(img.Tags)
	slices.Sort(img.RepoDigests)
	for _, l := range rec.Layers {
		img.Size += s.t.layers.m[string(l)].Bytes
	}
	return img, nil
}

func (s *Store) config(id digest.Digest) (*configEntry, error) {
	s.mu.RLock()
	e := s.configs[id]
	s.mu.RUnlock()
	if e != nil {
		return e, nil
	}
	raw, err := s.blobs.Read(id)
	if err != nil {
		return nil, err
	}
	file, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fault.New(fault.Invalid, "parse config: %w", err)
	}
	e = &configEntry{file, raw}
	s.mu.Lock()
	s.configs[id] = e
	s.mu.Unlock()
	return e, nil
}

// List gives all images, newest first.
func (s *Store) List() ([]Image, error) {
	s.mu.RLock()
	ids := slices.Collect(maps.Keys(s.t.images.m))
	s.mu.RUnlock()
	list := make([]Image, 0, len(ids))
	for _, id := range ids {
		img, err := s.view(digest.Digest(id))
		if fault.Is(err, fault.NotFound) {
			continue // removed in between
		}
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	slices.SortFunc(list, func(a, b Image) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Tag makes dst name the image that src names.
func (s *Store) Tag(src, dst string) error {
	id, err := s.find(src)
	if err != nil {
		return fmt.Errorf("tag %s: %w", src, err)
	}
	r, err := tagOf(dst)
	if err != nil {
		return err
	}
	return s.update(func(c *change) error {
		rec, ok := s.t.images.m[string(id)]
		if !ok {
			return fault.New(fault.NotFound, "image %s is not here", id)
		}
		return put(c, &s.t.tags, r.String(), tagRecord{Target: rec.Manifest, Image: id})
	})
}

// tagOf parses a reference that must be a tag.
func tagOf(s string) (Ref, error) {
	r, err := ParseRef(s)
	if err == nil && r.Digest != "" {
		err = fault.New(fault.Invalid, "image reference %q: a new name cannot have a digest", s)
	}
	return r, err
}

// LayerDirs gives the overlay lower directories of an image (a reference or an ID), topmost first; a lost layer is
// unpacked again from its blob. They may go away unless the image is acquired.
func (s *Store) LayerDirs(ref string) ([]string, error) {
	id, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	layers := s.t.images.m[string(id)].Layers
	s.mu.RUnlock()
	return s.DirsOf(layers)
}

// DirsOf is LayerDirs for a list of layers, base first. A layer that occurs twice is given once, at its topmost
// place: overlayfs refuses twins, and everything the lower twin holds is in the upper one.
func (s *Store) DirsOf(layers []digest.Digest) ([]string, error) {
	dirs := make([]string, 0, len(layers))
	seen := make(map[digest.Digest]bool, len(layers))
	for _, l := range slices.Backward(layers) {
		if seen[l] {
			continue
		}
		seen[l] = true
		if err := s.ensureLayer(context.Background(), l); err != nil {
			return nil, err
		}
		dirs = append(dirs, s.layerDir(l)+"/fs")
	}
	return dirs, nil
}

// Usage of the store on disk: unpacked layers and blobs.
func (s *Store) Usage() (Usage, error) {
	var u Usage
	s.mu.RLock()
	for _, l := range s.t.layers.m {
		u.Bytes += uint64(l.Bytes)
		u.Inodes += uint64(l.Inodes)
	}
	s.mu.RUnlock()
	err := s.blobs.Walk(func(_ digest.Digest, n int64) error {
		u.Bytes += uint64(n)
		u.Inodes++
		return nil
	})
	return u, err
}
