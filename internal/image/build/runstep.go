package build

import (
	"context"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
)

func (b *builder) run(ctx context.Context, r *Run, on result, e *Event) (digest.Digest, error) {
	return "", fault.New(fault.Unsupported, "RUN: not there yet")
}
