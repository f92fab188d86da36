package image

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/image/content"
	"github.com/dhow-project/dhow/internal/image/filehash"
	"github.com/dhow-project/dhow/internal/image/remote"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Store is safe for concurrent use. One process at a time has a directory open.
//
//	<dir>/meta.db                 what is complete (meta.go)
//	<dir>/blobs/sha256/<hex>      manifests, configs, layers as they were fetched
//	<dir>/layers/<diff id>/fs     each layer unpacked once, an overlay lower directory
//	<dir>/tmp                     everything half done; emptied by Open
//
// A layer directory does not depend on what is below it, so it is kept by diff ID
// rather than chain ID: the same COPY on two bases is one directory.
type Store struct {
	dir    string
	log    *slog.Logger
	opts   Options
	db     *bolt.DB
	blobs  *content.Store
	hashes *filehash.Cache
	remote *remote.Client
	boot   string

	writing    sync.Mutex   // one writer of the tables
	mu         sync.RWMutex // guards what follows
	t          *tables
	configs    map[digest.Digest]*configEntry
	leases     map[digest.Digest]int     // work in progress: digests of blobs and layers
	inUse      map[string]*Lease         // acquired images by owner
	flights    map[digest.Digest]*flight // layers being unpacked
	cacheLocks map[string]*sync.Mutex    // RUN --mount=type=cache by id

	syncing syncer
}

// Open makes or opens the store in dir and clears away what a crash left. A directory in use by another process
// is Unavailable.
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open image store %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxLayerBytes == 0 {
		o.MaxLayerBytes = 64 << 30
	}
	if o.MaxLayerInodes == 0 {
		o.MaxLayerInodes = 4_000_000
	}
	for _, d := range []string{dir, filepath.Join(dir, "layers"), filepath.Join(dir, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	db, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o600, &bolt.Options{Timeout: 500 * time.Millisecond, FreelistType: bolt.FreelistMapType})
	if errors.Is(err, bolt.ErrTimeout) {
		return nil, fault.New(fault.Unavailable, "another process has it open")
	}
	if err != nil {
		return nil, err
	}
	blobs, err := content.Open(filepath.Join(dir, "blobs"), filepath.Join(dir, "tmp"))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{
		dir: dir, log: o.Log, opts: o, db: db, blobs: blobs, boot: bootID(), t: newTables(), remote: remote.New(o.Registries),
		hashes:  filehash.New(filepath.Join(dir, "filehash.gob")),
		configs: map[digest.Digest]*configEntry{}, leases: map[digest.Digest]int{},
		inUse: map[string]*Lease{}, flights: map[digest.Digest]*flight{}, cacheLocks: map[string]*sync.Mutex{},
	}
	if err := s.reconcile(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.syncing.start(s)
	return s, nil
}

// Close waits for background writes and frees the directory. Nothing may be in progress.
func (s *Store) Close() error {
	s.syncing.stop()
	s.remote.Close()
	return s.db.Close()
}

// Dir is the directory given to Open.
func (s *Store) Dir() string { return s.dir }

// TempDir makes a private directory on the store's file system; the caller removes it, or the next Open does.
func (s *Store) TempDir(pattern string) (string, error) {
	return os.MkdirTemp(filepath.Join(s.dir, "tmp"), pattern)
}

// bootID changes with every start of the machine. Unknown means: trust nothing that was not flushed.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Sprint("unknown-", time.Now().UnixNano())
	}
	return strings.TrimSpace(string(b))
}

// Remote is the client that pulls and pushes go through.
func (s *Store) Remote() *remote.Client { return s.remote }
