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
	for o, held := range s.inUse {
		if slices.Contains(held, id) {
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
		if len(img.Tags) > 0 && !all || s.owner(img.ID) != "" || s.leased(img.ID) {
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

func (s *Store) leased(d digest.Digest) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.leases[d] > 0
}

// collect deletes blobs and layers that nothing needs and gives the bytes freed. Roots are images, manifests
// that belong to a repository, tags, leases, build steps and what containers use.
func (s *Store) collect() (int64, error) {
	s.writing.Lock() // nothing becomes reachable meanwhile, except through a lease
	keep := s.mark()
	var layers []digest.Digest
	for id := range s.t.layers.m {
		if !keep[digest.Digest(id)] {
			layers = append(layers, digest.Digest(id))
		}
	}
	s.writing.Unlock()
	freed, err := s.dropLayers(layers)
	if err != nil {
		return freed, err
	}
	err = s.blobs.Walk(func(d digest.Digest, n int64) error {
		if keep[d] || s.leased(d) {
			return nil
		}
		freed += n
		return s.blobs.Delete(d)
	})
	return freed, errors.Join(err, s.forgetBlobs())
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
	for _, held := range s.inUse {
		for _, d := range held {
			keep[d] = true
		}
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

// dropLayers forgets layers, then deletes them: a crash in between leaves directories that Open sweeps.
func (s *Store) dropLayers(ids []digest.Digest) (int64, error) {
	var freed int64
	var dirs []string
	err := s.update(func(c *change) error {
		for _, id := range ids {
			r, ok := s.t.layers.m[string(id)]
			if !ok || s.leased(id) {
				continue
			}
			tmp, err := s.TempDir("gone-")
			if err != nil {
				return err
			}
			dirs = append(dirs, tmp)
			if err := os.Rename(s.layerDir(id), tmp+"/layer"); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			freed += r.Bytes
			if err := del(c, &s.t.layers, string(id)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, d := range dirs {
		err = errors.Join(err, os.RemoveAll(d))
	}
	return freed, err
}

// forgetBlobs drops what was known about layer blobs that are gone.
func (s *Store) forgetBlobs() error {
	return s.update(func(c *change) error {
		for b := range s.t.blobs.m {
			if !s.blobs.Has(digest.Digest(b)) {
				if err := del(c, &s.t.blobs, b); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
