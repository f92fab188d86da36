// Package registry serves an image store over the OCI distribution API v2:
// what was built or pulled can be pulled, what is pushed can run at once.
package registry

import (
	"net/http"

	"github.com/dhow-project/dhow/internal/image"
)

// Options of the handler.
type Options struct {
	// Name is the registry under which pushed images are filed; "" is the Host header of each request.
	Name     string
	ReadOnly bool
}

// Handler serves s below /v2/.
func Handler(s *image.Store, o Options) http.Handler { return http.NotFoundHandler() }
