package image

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dhow-project/dhow/internal/x/fault"
)

// ParsePlatform reads "linux/arm64" or "linux/arm/v7".
func ParsePlatform(s string) (*Platform, error) {
	p, err := v1.ParsePlatform(s)
	if err != nil {
		return nil, fault.New(fault.Invalid, "platform %q: %w", s, err)
	}
	return p, nil
}
