package registry

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
)

// blob answers GET and HEAD of a blob, ranges too when it is stored; a layer that was built here is streamed.
func (c *call) blob() error {
	d := digest.Digest(c.rest)
	if d.Validate() != nil {
		return apiError{http.StatusBadRequest, "DIGEST_INVALID", "digest " + c.rest + " is not valid"}
	}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return errMethod
	}
	h := c.w.Header()
	if c.r.Method == http.MethodHead {
		n, err := c.s.BlobSize(d)
		if err != nil {
			return unknown("BLOB_UNKNOWN", err)
		}
		describe(h, d)
		h.Set("Content-Length", strconv.FormatInt(n, 10))
		return nil
	}
	r, n, err := c.s.OpenBlob(c.r.Context(), d)
	if err != nil {
		return unknown("BLOB_UNKNOWN", err)
	}
	defer r.Close()
	describe(h, d)
	if f, ok := r.(*os.File); ok {
		http.ServeContent(c.w, c.r, "", time.Time{}, f)
		return nil
	}
	h.Set("Accept-Ranges", "none")
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	if _, err := io.Copy(c.w, r); err != nil && fault.Is(err, fault.Internal) {
		panic(http.ErrAbortHandler) // the client must not take what it has for the blob
	}
	return nil
}

func describe(h http.Header, d digest.Digest) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", string(d))
	h.Set("Etag", strconv.Quote(string(d)))
	h.Set("Cache-Control", "max-age=31536000")
}
