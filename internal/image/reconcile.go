package image

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/dhow-project/dhow/internal/image/fsat"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// reconcile loads the tables and makes the disk agree with them: temporary files go, layer directories without a
// record go, records without a directory, or not flushed before a power cut, go. Images whose layers are gone
// stay: their blobs bring the layers back on first use (snapshot.go).
func (s *Store) reconcile() error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, t := range s.t.all() {
			if err := t.load(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := emptyDir(filepath.Join(s.dir, "tmp")); err != nil {
		return err
	}
	present, err := s.sweepLayerDirs()
	if err != nil {
		return err
	}
	return s.dropLostLayers(present)
}

func (s *Store) sweepLayerDirs() (map[string]bool, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "layers"))
	if err != nil {
		return nil, err
	}
	present := map[string]bool{}
	for _, e := range entries {
		id := string(digest.NewDigestFromEncoded(digest.SHA256, e.Name()))
		if r, ok := s.t.layers.m[id]; ok && (r.Boot == "" || r.Boot == s.boot) {
			present[id] = true
			continue
		}
		s.log.Info("removing unrecorded layer", "layer", e.Name())
		if err := os.RemoveAll(filepath.Join(s.dir, "layers", e.Name())); err != nil {
			return nil, err
		}
	}
	return present, nil
}

func (s *Store) dropLostLayers(present map[string]bool) error {
	var lost []string
	for id := range s.t.layers.m {
		if !present[id] {
			lost = append(lost, id)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return s.update(func(c *change) error {
		for _, id := range lost {
			s.log.Warn("layer was lost", "layer", id)
			if err := del(c, &s.t.layers, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// syncer flushes new layer directories in the background, so that no pull or build waits for the disk, and
// then marks them trusted.
type syncer struct {
	wake chan struct{}
	wg   sync.WaitGroup
}

func (y *syncer) start(s *Store) {
	y.wake = make(chan struct{}, 1)
	y.wg.Go(func() {
		for range y.wake {
			if err := s.flush(); err != nil {
				s.log.Error("flushing layers", "err", err)
			}
		}
	})
}

func (y *syncer) kick() {
	select {
	case y.wake <- struct{}{}:
	default:
	}
}

func (y *syncer) stop() {
	close(y.wake)
	y.wg.Wait()
}

func (s *Store) flush() error {
	s.mu.RLock()
	var fresh []string
	for id, r := range s.t.layers.m {
		if r.Boot != "" {
			fresh = append(fresh, id)
		}
	}
	s.mu.RUnlock()
	if len(fresh) == 0 {
		return nil
	}
	if err := fsat.Sync(s.dir); err != nil {
		return err
	}
	return s.update(func(c *change) error {
		for _, id := range fresh {
			r, ok := s.t.layers.m[id]
			if !ok {
				continue
			}
			r.Boot = ""
			if err := put(c, &s.t.layers, id, r); err != nil {
				return err
			}
		}
		return nil
	})
}
