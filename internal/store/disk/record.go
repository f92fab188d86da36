package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dhow-project/dhow/internal/store"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// The file has two buckets. "about" holds the format's name and the revision (8 bytes, big endian).
// "entries" holds key → record:
//
//	crc32c 4 | revision 8 | created 8 | value …
//
// The checksum covers the key and all that follows it, so that a page that landed
// in the wrong place is noticed too.
const (
	format = "dhow store 1"
	header = 4 + 8 + 8
)

var (
	about       = []byte("about")
	entries     = []byte("entries")
	formatKey   = []byte("format")
	revisionKey = []byte("revision")
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(key string, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key), castagnoli), castagnoli, rest)
}

func encode(e store.Entry) []byte {
	b := make([]byte, header+len(e.Value))
	binary.BigEndian.PutUint64(b[4:], uint64(e.Revision))
	binary.BigEndian.PutUint64(b[12:], uint64(e.Created))
	copy(b[header:], e.Value)
	binary.BigEndian.PutUint32(b, checksum(e.Key, b[4:]))
	return b
}

// decode copies the value out of the memory map.
func decode(key string, b []byte) (store.Entry, error) {
	if err := intact(key, b); err != nil {
		return store.Entry{}, err
	}
	return store.Entry{
		Key:      key,
		Value:    append([]byte(nil), b[header:]...),
		Revision: int64(binary.BigEndian.Uint64(b[4:])),
		Created:  int64(binary.BigEndian.Uint64(b[12:])),
	}, nil
}

func intact(key string, b []byte) error {
	if len(b) < header || binary.BigEndian.Uint32(b) != checksum(key, b[4:]) {
		return fmt.Errorf("entry %q fails its checksum", key)
	}
	return nil
}

func readRevision(tx *bolt.Tx) int64 {
	return int64(binary.BigEndian.Uint64(tx.Bucket(about).Get(revisionKey)))
}

func writeRevision(tx *bolt.Tx, revision int64) error {
	return tx.Bucket(about).Put(revisionKey, binary.BigEndian.AppendUint64(nil, uint64(revision)))
}

func options() *bolt.Options {
	return &bolt.Options{
		Timeout: time.Second,
		// The free list is found again by a scan at open, which load makes anyway: one write less each commit.
		NoFreelistSync: true,
		FreelistType:   bolt.FreelistMapType,
	}
}

// verify reads the whole file without a way to change it. It comes before the opening for
// writing, in which bbolt walks the pages in a goroutine of its own whose panics nobody can catch.
func verify(path string) (live int64, err error) {
	o := options()
	o.ReadOnly = true
	db, err := open(path, o)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if live, err = load(db); err != nil {
		return 0, damaged(path, err)
	}
	return live, nil
}

func open(path string, o *bolt.Options) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, o)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fault.New(fault.Unavailable, "store %s is in use by another process: stop it first (dhow status shows which)", path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, damaged(path, err)
	case err != nil:
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return db, nil
}

// initialize makes a whole store elsewhere and moves it into place, so that a crash
// never leaves a half-made one behind.
func initialize(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(fresh, 0o600, options())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(about)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(entries); err != nil {
			return err
		}
		if err := b.Put(formatKey, []byte(format)); err != nil {
			return err
		}
		return writeRevision(tx, 0)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return replace(fresh, path)
}

// replace moves a finished file into place, durably.
func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// load checks every record and returns the bytes that are live. The panics that bbolt answers
// damaged pages with become errors, and so does the fault of reading mapped pages beyond the end of a
// file that was cut off, which would end the process.
func load(db *bolt.DB) (live int64, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its pages are damaged: %v", p)
		}
	}()
	err = db.View(func(tx *bolt.Tx) error {
		a, e := tx.Bucket(about), tx.Bucket(entries)
		if a == nil || e == nil {
			return errors.New("it is a bbolt file, but not of dhow")
		}
		if f := string(a.Get(formatKey)); f != format {
			return fmt.Errorf("its format is %q, this dhow reads %q", f, format)
		}
		if len(a.Get(revisionKey)) != 8 {
			return errors.New("it has no revision")
		}
		return e.ForEach(func(k, v []byte) error {
			live += int64(len(k) + len(v))
			return intact(string(k), v)
		})
	})
	return live, err
}

func damaged(path string, err error) error {
	return fault.New(fault.Invalid, "store %s cannot be used and was left untouched: %w: restore a backup, or move it away to start anew", path, err)
}
