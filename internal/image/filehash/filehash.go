// Package filehash remembers the digests of files by what the kernel says about them,
// so that an unchanged build context is never read twice.
package filehash

import (
	"crypto/sha256"
	"encoding/gob"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const limit = 200_000 // entries; about 20 MB

// Digest of a file's content.
type Digest = [sha256.Size]byte

type key struct {
	Dev, Ino uint64
	Size     int64
	Mtime    [2]int64
	Ctime    [2]int64
}

// Cache is safe for concurrent use. Losing it costs time only.
type Cache struct {
	file  string
	mu    sync.Mutex
	m     map[key]Digest
	dirty bool
}

// New is a cache that Load reads from file and Save writes to it.
func New(file string) *Cache { return &Cache{file: file} }

// Sum is the digest of the file that st describes, reading it through open when it is not known.
func (c *Cache) Sum(st *syscall.Stat_t, open func() (*os.File, error)) (Digest, error) {
	k := key{uint64(st.Dev), st.Ino, st.Size, [2]int64{int64(st.Mtim.Sec), int64(st.Mtim.Nsec)}, [2]int64{int64(st.Ctim.Sec), int64(st.Ctim.Nsec)}}
	c.mu.Lock()
	c.load()
	d, ok := c.m[k]
	c.mu.Unlock()
	if ok {
		return d, nil
	}
	d, err := sum(open)
	if err != nil {
		return d, err
	}
	// A file changed within the clock's tick could change again without showing it.
	if time.Since(time.Unix(k.Ctime[0], k.Ctime[1])) < 50*time.Millisecond {
		return d, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= limit {
		clear(c.m)
	}
	c.m[k], c.dirty = d, true
	return d, nil
}

func sum(open func() (*os.File, error)) (d Digest, err error) {
	f, err := open()
	if err != nil {
		return d, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return d, err
	}
	h.Sum(d[:0])
	return d, nil
}

func (c *Cache) load() {
	if c.m != nil {
		return
	}
	c.m = map[key]Digest{}
	f, err := os.Open(c.file)
	if err != nil {
		return
	}
	defer f.Close()
	m := map[key]Digest{}
	if gob.NewDecoder(f).Decode(&m) == nil {
		c.m = m
	}
}

// Save writes what is new.
func (c *Cache) Save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(c.file), ".filehash-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := gob.NewEncoder(f).Encode(c.m); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	c.dirty = false
	return os.Rename(f.Name(), c.file)
}
