package image

import (
	"context"
	"io"

	"github.com/dhow-project/dhow/internal/x/fault"
)

func (s *Store) Pull(ctx context.Context, ref string, auths []Auth, o PullOptions) (Image, error) {
	return Image{}, errSoon
}
func (s *Store) Push(ctx context.Context, ref string, auths []Auth, progress func(Progress)) error {
	return errSoon
}
func (s *Store) Save(ctx context.Context, w io.Writer, refs ...string) error { return errSoon }
func (s *Store) Load(ctx context.Context, r io.Reader, progress func(Progress)) ([]Image, error) {
	return nil, errSoon
}

var errSoon = fault.New(fault.Unsupported, "not there yet")
