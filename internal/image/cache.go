package image

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/image/filehash"
	"github.com/opencontainers/go-digest"
)

// cacheRecord is keyed by what a build step depends on; Layer is what it made, "" for nothing.
type cacheRecord struct {
	Layer digest.Digest `json:",omitempty"`
	Used  time.Time
}

// CacheGet finds the layer that a build step with this key made. A layer that is gone is no hit; one that is there
// is held by lease.
func (s *Store) CacheGet(lease *Lease, key string) (digest.Digest, bool) {
	s.mu.RLock()
	r, ok := s.t.cache.m[key]
	s.mu.RUnlock()
	if !ok || r.Layer == "" {
		return "", ok
	}
	lease.Hold(r.Layer)
	_, ok = s.layer(r.Layer)
	return r.Layer, ok
}

const maxCacheSteps = 4096

// CachePut remembers it. The layer stays until the step is among the oldest of many, or PruneCache.
func (s *Store) CachePut(key string, layer digest.Digest) error {
	return s.update(func(c *change) error {
		if len(s.t.cache.m) >= maxCacheSteps {
			if err := s.dropOldSteps(c); err != nil {
				return err
			}
		}
		return put(c, &s.t.cache, key, cacheRecord{Layer: layer, Used: time.Now()})
	})
}

// dropOldSteps forgets the older half; their layers go with the next Prune.
func (s *Store) dropOldSteps(c *change) error {
	keys := slices.SortedFunc(maps.Keys(s.t.cache.m), func(a, b string) int {
		return s.t.cache.m[a].Used.Compare(s.t.cache.m[b].Used)
	})
	for _, k := range keys[:len(keys)/2] {
		if err := del(c, &s.t.cache, k); err != nil {
			return err
		}
	}
	return nil
}

// PruneCache forgets all build steps, so that Prune frees their layers, and the directories of
// RUN --mount=type=cache. No build may run.
func (s *Store) PruneCache() error {
	if err := os.RemoveAll(filepath.Join(s.dir, "cache")); err != nil {
		return err
	}
	return s.update(func(c *change) error {
		for k := range s.t.cache.m {
			if err := del(c, &s.t.cache, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// FileHashes remembers the digests of build contexts' files.
func (s *Store) FileHashes() *filehash.Cache { return s.hashes }

// CacheMountDir is where RUN --mount=type=cache with this id keeps its files.
func (s *Store) CacheMountDir(id string) string {
	return filepath.Join(s.dir, "cache", digest.FromString(id).Encoded()[:32])
}

// LockCacheMount waits until nobody else uses the directory and gives what ends the use.
func (s *Store) LockCacheMount(id string) (unlock func()) {
	m := s.cacheMutex(id)
	m.Lock()
	return m.Unlock
}

// TryLockCacheMount is LockCacheMount without waiting.
func (s *Store) TryLockCacheMount(id string) (unlock func(), ok bool) {
	m := s.cacheMutex(id)
	return m.Unlock, m.TryLock()
}

func (s *Store) cacheMutex(id string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.cacheLocks[id]
	if !ok {
		m = &sync.Mutex{}
		s.cacheLocks[id] = m
	}
	return m
}
