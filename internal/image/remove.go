package image

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/dhow-project/dhow/internal/x/fault"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
)

// Untag removes one name; the image stays. NotFound.
func (s *Store) Untag(ref string) error {
	r, err := ParseRef(ref)
	if err != nil {
		return err
	}
	return s.update(func(c *change) error {
		if _, ok := s.t.tags.m[r.String()]; !ok {
			return fault.New(fault.NotFound, "image %s is not here", r.Familiar())
		}
		return del(c, &s.t.tags, r.String())
	})
}

// Remove takes away a name, and the image with it when that was its last one; given an ID, the image with all its
// names, which needs force when there are several. An image in use is Conflict; force untags it then, and what
// a container uses stays on disk until it is released and Prune runs.
func (s *Store) Remove(ref string, force bool) (Removed, error) {
	img, err := s.Get(ref)
	if err != nil {
		return Removed{}, err
	}
	names := append(slices.Clone(img.Tags), img.RepoDigests...)
	if r, perr := ParseRef(ref); perr == nil && slices.Contains(img.Tags, r.String()) {
		names = []string{r.String()}
		if len(img.Tags) == 1 {
			names = append(names, img.RepoDigests...)
		}
	} else if perr == nil && r.Digest != "" && len(img.Tags) > 0 {
		names = []string{r.Name() + "@" + string(r.Digest)}
	} else if len(img.Tags) > 1 && !force {
		return Removed{}, fault.New(fault.Conflict, "image %s has %d names (%s): remove them one by one, or force", img.ID.Encoded()[:12], len(img.Tags), strings.Join(img.Tags, ", "))
	}
	last := len(names) == len(img.Tags)+len(img.RepoDigests)
	if owner := s.owner(img.ID); owner != "" && last && !force {
		return Removed{}, fault.New(fault.Conflict, "image %s is used by %s: remove that first, or force", ref, owner)
	}
	out := Removed{Untagged: names}
	err = s.update(func(c *change) error {
		for _, n := range names {
			if err := errors.Join(del(c, &s.t.tags, n), del(c, &s.t.manifests, n)); err != nil {
				return err
			}
		}
		if !last {
			return nil
		}
		out.Deleted = append(out.Deleted, img.ID)
		return del(c, &s.t.images, string(img.ID))
	})
	if err != nil || !last {
		return out, err
	}
	out.Bytes, err = s.collect()
	return out, err
}

func (s *Store) owner(id digest.Digest) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for o, l := range s.inUse {
		if slices.Contains(l.held, id) {
			return o
		}
	}
	return ""
}

// Prune removes images without a name (with all: images nobody uses) and then everything on disk that
// nothing needs.
func (s *Store) Prune(ctx context.Context, all bool) (Removed, error) {
	images, err := s.List()
	if err != nil {
		return Removed{}, err
	}
	var out Removed
	for _, img := range images {
		if (len(img.Tags) > 0 || s.asked(img.RepoDigests)) && !all || s.owner(img.ID) != "" || s.leased(img.ID) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
		r, err := s.Remove(string(img.ID), true)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return out, err
		}
		out.Untagged = append(out.Untagged, r.Untagged...)
		out.Deleted = append(out.Deleted, r.Deleted...)
		out.Bytes += r.Bytes
	}
	n, err := s.collect()
	out.Bytes += n
	return out, err
}

func (s *Store) asked(names []string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(names, func(n string) bool { return s.t.manifests.m[n].Asked })
}

func (s *Store) leased(d digest.Digest) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.leases[d] > 0
}

// collect deletes blobs and layers that nothing needs and gives the bytes freed. Roots are images, manifests
// that belong to a repository, tags, leases (containers have them too) and build steps. It holds the writers' lock
// throughout: whatever is not recorded then is leased by whoever is about to record it.
func (s *Store) collect() (int64, error) {
	var freed int64
	var gone []string
	err := s.update(func(c *change) error {
		keep := s.mark()
		for id, r := range s.t.layers.m {
			if keep[digest.Digest(id)] {
				continue
			}
			dir, err := s.dropLayer(c, digest.Digest(id))
			if err != nil {
				return err
			}
			if dir != "" {
				freed += r.Bytes
				gone = append(gone, dir)
			}
		}
		return s.blobs.Walk(func(d digest.Digest, n int64) error {
			if keep[d] {
				return nil
			}
			dropped, err := s.dropBlob(c, d)
			if dropped {
				freed += n
			}
			return err
		})
	})
	for _, d := range gone {
		err = errors.Join(err, os.RemoveAll(d))
	}
	return freed, err
}

func (s *Store) mark() map[digest.Digest]bool {
	s.mu.RLock()
	keep := map[digest.Digest]bool{}
	var manifests []digest.Digest
	for id, r := range s.t.images.m {
		keep[digest.Digest(id)] = true
		manifests = append(manifests, r.Manifest)
		for _, l := range r.Layers {
			keep[l] = true
		}
	}
	for _, t := range s.t.tags.m {
		manifests = append(manifests, t.Target)
	}
	for name := range s.t.manifests.m {
		_, d, _ := strings.Cut(name, "@")
		manifests = append(manifests, digest.Digest(d))
	}
	for d := range s.leases {
		keep[d] = true
	}
	for _, r := range s.t.cache.m {
		keep[r.Layer] = true
	}
	s.mu.RUnlock()
	for _, m := range manifests {
		s.markManifest(m, keep, 0)
	}
	return keep
}

// markManifest follows a manifest or an index; one that is not here keeps nothing.
func (s *Store) markManifest(d digest.Digest, keep map[digest.Digest]bool, depth int) {
	raw, err := s.blobs.Read(d)
	if err != nil || depth > 4 {
		return
	}
	keep[d] = true
	var m struct {
		Manifests, Layers []v1.Descriptor
		Config            *v1.Descriptor
	}
	if json.Unmarshal(raw, &m) != nil {
		return
	}
	if m.Config != nil {
		keep[digestOf(m.Config.Digest)] = true
	}
	for _, l := range m.Layers {
		keep[digestOf(l.Digest)] = true
	}
	for _, c := range m.Manifests {
		s.markManifest(digestOf(c.Digest), keep, depth+1)
	}
}

// dropLayer forgets a layer and moves its directory to tmp, to be deleted there, unless somebody leased it. Leases and
// the table are under one lock: who leases first and then finds the layer, keeps it.
func (s *Store) dropLayer(c *change, id digest.Digest) (dir string, err error) {
	if dir, err = s.TempDir("gone-"); err != nil {
		return "", err
	}
	s.mu.Lock()
	if s.leases[id] > 0 {
		s.mu.Unlock()
		return "", os.Remove(dir)
	}
	delete(s.t.layers.m, string(id))
	s.mu.Unlock()
	if err := os.Rename(s.layerDir(id), dir+"/layer"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	return dir, del(c, &s.t.layers, string(id))
}

// dropBlob deletes a blob and what was known of it, unless somebody leased it.
func (s *Store) dropBlob(c *change, d digest.Digest) (bool, error) {
	s.mu.Lock()
	if s.leases[d] > 0 {
		s.mu.Unlock()
		return false, nil
	}
	delete(s.configs, d)
	err := s.blobs.Delete(d)
	s.mu.Unlock()
	if err != nil {
		return false, err
	}
	return true, del(c, &s.t.blobs, string(d))
}
