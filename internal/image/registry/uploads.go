package registry

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/image/content"
	"github.com/dhow-project/dhow/internal/x/fault"
	"github.com/opencontainers/go-digest"
)

const (
	maxUploads   = 512           // at once
	uploadExpiry = 1 * time.Hour // since the last byte
)

// uploads are the blobs being pushed, and leases on those that no manifest names yet. They live in memory: after a
// restart a client begins again, and the store has removed what was half done.
type uploads struct {
	s  *image.Store
	mu sync.Mutex
	m  map[string]*upload
	// blobs pushed lately, kept for the manifest that is to come
	fresh []freshBlob
}

type upload struct {
	mu   sync.Mutex
	w    *content.Writer
	used time.Time
}

type freshBlob struct {
	lease *image.Lease
	at    time.Time
}

func newUploads(s *image.Store) uploads { return uploads{s: s, m: map[string]*upload{}} }

// expire drops what nobody came back for. It is called when something new begins, so nothing needs a clock.
func (u *uploads) expire(now time.Time) {
	for id, up := range u.m {
		if up.mu.TryLock() {
			if now.Sub(up.used) > uploadExpiry {
				up.w.Close()
				delete(u.m, id)
			}
			up.mu.Unlock()
		}
	}
	n := 0
	for n < len(u.fresh) && now.Sub(u.fresh[n].at) > uploadExpiry {
		u.fresh[n].lease.End()
		n++
	}
	u.fresh = u.fresh[n:]
}

func (u *uploads) start() (string, *upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.expire(time.Now())
	if len(u.m) >= maxUploads {
		return "", nil, apiError{http.StatusTooManyRequests, "TOOMANYREQUESTS", "too many uploads at once"}
	}
	w, err := u.s.NewBlob(digest.Canonical)
	if err != nil {
		return "", nil, err
	}
	id, up := rand.Text(), &upload{w: w, used: time.Now()}
	u.m[id] = up
	return id, up, nil
}

func (u *uploads) get(id string) (*upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up, ok := u.m[id]
	if !ok {
		return nil, apiError{http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload: begin again"}
	}
	return up, nil
}

func (u *uploads) end(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up, ok := u.m[id]; ok {
		up.w.Close()
		delete(u.m, id)
	}
}

// hold keeps a blob until its manifest had time to come.
func (u *uploads) hold(d digest.Digest) {
	l := u.s.NewLease()
	l.Hold(d)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.fresh = append(u.fresh, freshBlob{l, time.Now()})
}

// upload answers everything below <repo>/blobs/uploads/.
func (c *call) upload() error {
	if c.rest == "" {
		if c.r.Method != http.MethodPost {
			return errMethod
		}
		return c.startUpload()
	}
	up, err := c.uploads.get(c.rest)
	if err != nil {
		return err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	up.used = time.Now()
	switch c.r.Method {
	case http.MethodGet:
		c.progress(up, http.StatusNoContent)
		return nil
	case http.MethodPatch:
		if err := c.append(up); err != nil {
			return err
		}
		c.progress(up, http.StatusAccepted)
		return nil
	case http.MethodPut:
		if err := c.append(up); err != nil {
			return err
		}
		return c.commit(up, c.r.URL.Query().Get("digest"))
	case http.MethodDelete:
		c.uploads.end(c.rest)
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return errMethod
}

// startUpload begins a session, mounts a blob that is here, or takes a whole blob at once.
func (c *call) startUpload() error {
	q := c.r.URL.Query()
	if d := digest.Digest(q.Get("mount")); d != "" && d.Validate() == nil {
		c.uploads.hold(d)
		if _, err := c.s.BlobSize(d); err == nil {
			c.created(d)
			return nil
		}
	}
	id, up, err := c.uploads.start()
	if err != nil {
		return err
	}
	c.rest = id
	up.mu.Lock()
	defer up.mu.Unlock()
	if d := q.Get("digest"); d != "" {
		if err := c.append(up); err != nil {
			c.uploads.end(id)
			return err
		}
		return c.commit(up, d)
	}
	c.w.Header().Set("Docker-Upload-Uuid", id)
	c.progress(up, http.StatusAccepted)
	return nil
}

// append takes a chunk; one that does not begin where the last ended is refused.
func (c *call) append(up *upload) error {
	if cr := c.r.Header.Get("Content-Range"); cr != "" {
		from, _, _ := strings.Cut(strings.TrimPrefix(cr, "bytes "), "-")
		if n, err := strconv.ParseInt(from, 10, 64); err != nil || n != up.w.Size() {
			c.where(up)
			return apiError{http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", fmt.Sprintf("the next chunk begins at %d", up.w.Size())}
		}
	}
	if _, err := io.Copy(up.w, c.r.Body); err != nil {
		return fmt.Errorf("receive blob: %w", err)
	}
	return nil
}

func (c *call) progress(up *upload, status int) {
	c.where(up)
	c.w.WriteHeader(status)
}

// where says what has come so far and where the rest goes.
func (c *call) where(up *upload) {
	h := c.w.Header()
	h.Set("Location", "/v2/"+c.repo+"/blobs/uploads/"+c.rest)
	h.Set("Range", fmt.Sprintf("0-%d", max(0, up.w.Size()-1)))
}

func (c *call) commit(up *upload, want string) error {
	d := digest.Digest(want)
	if d.Validate() != nil {
		return apiError{http.StatusBadRequest, "DIGEST_INVALID", "digest " + want + " is not valid"}
	}
	defer c.uploads.end(c.rest)
	c.uploads.hold(d)
	_, err := up.w.Commit(d)
	if fault.Is(err, fault.Invalid) {
		return apiError{http.StatusBadRequest, "DIGEST_INVALID", err.Error()}
	}
	if err != nil {
		return err
	}
	c.created(d)
	return nil
}

func (c *call) created(d digest.Digest) {
	c.w.Header().Set("Location", "/v2/"+c.repo+"/blobs/"+string(d))
	c.w.Header().Set("Docker-Content-Digest", string(d))
	c.w.WriteHeader(http.StatusCreated)
}
