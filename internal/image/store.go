package image

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// Store is safe for concurrent use. One process at a time has a directory open.
type Store struct{ dir string }

var errSoon = fault.New(fault.Unsupported, "not there yet")

func Open(dir string, o Options) (*Store, error) { return nil, errSoon }
func (s *Store) Close() error                    { return nil }

// Dir is the directory given to Open.
func (s *Store) Dir() string { return s.dir }
func (s *Store) Pull(ctx context.Context, ref string, auths []Auth, o PullOptions) (Image, error) {
	return Image{}, errSoon
}
func (s *Store) Push(ctx context.Context, ref string, auths []Auth, progress func(Progress)) error {
	return errSoon
}

// Get finds an image by reference, ID ("sha256:…" or hex) or unique prefix of an ID of at least 3 characters; NotFound.
func (s *Store) Get(ref string) (Image, error)                        { return Image{}, errSoon }
func (s *Store) List() ([]Image, error)                               { return nil, errSoon }
func (s *Store) Tag(src, dst string) error                            { return errSoon }
func (s *Store) Untag(ref string) error                               { return errSoon }
func (s *Store) Remove(ref string, force bool) (Removed, error)       { return Removed{}, errSoon }
func (s *Store) Prune(ctx context.Context, all bool) (Removed, error) { return Removed{}, errSoon }

// LayerDirs gives the overlay lower directories of an image, topmost first. They may go away unless the image is acquired.
func (s *Store) LayerDirs(id string) ([]string, error) { return nil, errSoon }

// Acquire keeps an image's layers until Release with the same owner. It is not remembered over a restart:
// owners acquire again when they reconcile.
func (s *Store) Acquire(id, owner string) error                              { return errSoon }
func (s *Store) Release(id, owner string)                                    {}
func (s *Store) Usage() (Usage, error)                                       { return Usage{}, errSoon }
func (s *Store) Save(ctx context.Context, w io.Writer, refs ...string) error { return errSoon }
func (s *Store) Load(ctx context.Context, r io.Reader, progress func(Progress)) ([]Image, error) {
	return nil, errSoon
}

// Commit makes an image of base's layers and an overlay's upper directory, which it takes over.
func (s *Store) Commit(ctx context.Context, base Image, upper string, change func(*v1.ConfigFile)) (Image, error) {
	return Image{}, errSoon
}
