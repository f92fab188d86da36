package image

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// What is remembered about images, in tables that are whole in memory and durable in meta.db. Blobs and layer
// directories exist on their own; a record says that one is complete.

// imageRecord is keyed by the image's ID.
type imageRecord struct {
	Manifest digest.Digest   // single-platform manifest, always present as a blob
	Layers   []digest.Digest // diff IDs, base first
	Built    bool            `json:",omitempty"` // layers may have no blob
	Added    time.Time
}

// tagRecord is keyed by "registry/repository:tag".
type tagRecord struct {
	Target digest.Digest // what the tag names: a manifest or an index
	Image  digest.Digest `json:",omitempty"` // what runs here; empty for artifacts and foreign platforms
}

// manifestRecord is keyed by "registry/repository@digest": the manifest belongs to that repository.
type manifestRecord struct {
	MediaType    string
	Size         int64
	Image        digest.Digest `json:",omitempty"`
	Subject      digest.Digest `json:",omitempty"`
	ArtifactType string        `json:",omitempty"`
	// Asked: somebody pulled by this digest, so it counts as a name when images without one are pruned.
	Asked bool `json:",omitempty"`
}

// layerRecord is keyed by diff ID: layers/<hex>/fs is complete.
type layerRecord struct {
	Bytes, Inodes int64
	TarSize       int64
	// Boot is set until the directory is known to be on disk: after a power cut it cannot be trusted.
	Boot string `json:",omitempty"`
}

// blobRecord is keyed by the digest of a layer's blob: what it unpacks to.
type blobRecord struct {
	DiffID    digest.Digest
	MediaType string
	Size      int64
}

type table[T any] struct {
	name string
	m    map[string]T
}

type tables struct {
	images    table[imageRecord]
	tags      table[tagRecord]
	manifests table[manifestRecord]
	layers    table[layerRecord]
	blobs     table[blobRecord]
	cache     table[cacheRecord]
}

// all is the list of tables.
func (t *tables) all() []loader {
	return []loader{&t.images, &t.tags, &t.manifests, &t.layers, &t.blobs, &t.cache}
}

type loader interface{ load(tx *bolt.Tx) error }

func newTables() *tables {
	return &tables{
		images:    table[imageRecord]{name: "images"},
		tags:      table[tagRecord]{name: "tags"},
		manifests: table[manifestRecord]{name: "manifests"},
		layers:    table[layerRecord]{name: "layers"},
		blobs:     table[blobRecord]{name: "blobs"},
		cache:     table[cacheRecord]{name: "cache"},
	}
}

func (t *table[T]) load(tx *bolt.Tx) error {
	t.m = map[string]T{}
	b, err := tx.CreateBucketIfNotExists([]byte(t.name))
	if err != nil {
		return err
	}
	return b.ForEach(func(k, v []byte) error {
		var r T
		if err := json.Unmarshal(v, &r); err != nil {
			return fmt.Errorf("read %s of %s: %w", k, t.name, err)
		}
		t.m[string(k)] = r
		return nil
	})
}

// change is one transaction: all of its puts and deletes become visible and durable together.
type change struct {
	tx    *bolt.Tx
	apply []func()
}

func put[T any](c *change, t *table[T], key string, r T) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	c.apply = append(c.apply, func() { t.m[key] = r })
	return c.tx.Bucket([]byte(t.name)).Put([]byte(key), b)
}

func del[T any](c *change, t *table[T], key string) error {
	c.apply = append(c.apply, func() { delete(t.m, key) })
	return c.tx.Bucket([]byte(t.name)).Delete([]byte(key))
}

// update runs f in a transaction. f reads the tables as they are before it: writers come one at a time.
func (s *Store) update(f func(c *change) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	c := &change{}
	err := s.db.Update(func(tx *bolt.Tx) error {
		c.tx = tx
		return f(c)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, do := range c.apply {
		do()
	}
	return nil
}
