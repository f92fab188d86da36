package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dhow-project/dhow/internal/image"
	"github.com/dhow-project/dhow/internal/x/fault"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

const maxManifest = 4 << 20

func (c *call) manifest() error {
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
		return c.getManifest()
	case http.MethodPut:
		return c.putManifest()
	case http.MethodDelete:
		return c.deleteManifest()
	}
	return errMethod
}

func (c *call) getManifest() error {
	m, err := c.find()
	if err != nil {
		return unknown("MANIFEST_UNKNOWN", err)
	}
	h := c.w.Header()
	h.Set("Content-Type", m.MediaType)
	h.Set("Docker-Content-Digest", string(m.Digest))
	h.Set("Etag", strconv.Quote(string(m.Digest)))
	h.Set("Content-Length", strconv.Itoa(len(m.Raw)))
	if c.r.Method == http.MethodHead {
		return nil
	}
	_, err = c.w.Write(m.Raw)
	return err
}

func (c *call) find() (image.Manifest, error) {
	var err error
	for _, place := range c.places() {
		r, perr := c.ref(place, c.rest)
		if perr != nil {
			return image.Manifest{}, fault.As(fault.NotFound, perr)
		}
		var m image.Manifest
		if m, err = c.s.Manifest(r); err == nil || !fault.Is(err, fault.NotFound) {
			return m, err
		}
	}
	if !c.o.PullThrough || c.r.URL.Query().Get("ns") == "" {
		return image.Manifest{}, err
	}
	r, err := c.ref(c.registry(), c.rest)
	if err != nil {
		return image.Manifest{}, err
	}
	if _, err := c.s.Pull(c.r.Context(), r.String(), nil, image.PullOptions{}); err != nil {
		return image.Manifest{}, err
	}
	return c.s.Manifest(r)
}

func unknown(code string, err error) error {
	if fault.Is(err, fault.NotFound) {
		return apiError{http.StatusNotFound, code, err.Error()}
	}
	return err
}

func (c *call) putManifest() error {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxManifest))
	if err != nil {
		return apiError{http.StatusRequestEntityTooLarge, "SIZE_INVALID", fmt.Sprintf("manifest: %v", err)}
	}
	r, err := c.ref(c.registry(), c.rest)
	if err != nil {
		return apiError{http.StatusBadRequest, "MANIFEST_INVALID", err.Error()}
	}
	media, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	m, err := c.s.PutManifest(c.r.Context(), r, media, raw)
	if fault.Is(err, fault.NotFound) {
		return apiError{http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", err.Error()}
	}
	if err != nil {
		return err
	}
	for _, t := range c.r.URL.Query()["tag"] {
		if r.Tag, r.Digest = t, ""; t == "" {
			continue
		}
		if _, err := c.s.PutManifest(c.r.Context(), r, media, raw); err != nil {
			return err
		}
		c.w.Header().Add("Oci-Tag", t)
	}
	var subject struct{ Subject *v1.Descriptor }
	if json.Unmarshal(raw, &subject) == nil && subject.Subject != nil {
		c.w.Header().Set("Oci-Subject", subject.Subject.Digest.String())
	}
	c.w.Header().Set("Docker-Content-Digest", string(m.Digest))
	c.w.Header().Set("Location", "/v2/"+c.repo+"/manifests/"+string(m.Digest))
	c.w.WriteHeader(http.StatusCreated)
	return nil
}

func (c *call) deleteManifest() error {
	r, err := c.ref(c.registry(), c.rest)
	if err == nil {
		err = c.s.DeleteManifest(r)
	}
	if err != nil {
		return unknown("MANIFEST_UNKNOWN", err)
	}
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

func (c *call) referrers() error {
	d := digest.Digest(c.rest)
	if d.Validate() != nil {
		return apiError{http.StatusBadRequest, "DIGEST_INVALID", "digest " + c.rest + " is not valid"}
	}
	if c.r.Method != http.MethodGet {
		return errMethod
	}
	filter := c.r.URL.Query().Get("artifactType")
	idx := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	for _, place := range c.places() {
		r, err := c.ref(place, "")
		if err != nil {
			return err
		}
		idx.Manifests = append(idx.Manifests, c.s.Referrers(r.Name(), d, filter)...)
	}
	if filter != "" {
		c.w.Header().Set("Oci-Filters-Applied", "artifactType")
	}
	c.w.Header().Set("Content-Type", string(types.OCIImageIndex))
	return json.NewEncoder(c.w).Encode(idx)
}

func (c *call) tags() error {
	if c.rest != "" || c.r.Method != http.MethodGet {
		return errMethod
	}
	var tags []string
	var err error
	for _, place := range c.places() {
		r, perr := c.ref(place, "")
		if perr != nil {
			return perr
		}
		if tags, err = c.s.RepoTags(r.Name()); err == nil {
			break
		}
	}
	if err != nil {
		return unknown("NAME_UNKNOWN", err)
	}
	tags, err = page(c.w, c.r, tags)
	if err != nil {
		return err
	}
	return writeJSON(c.w, map[string]any{"name": c.repo, "tags": tags})
}

// catalog lists repositories as this registry names them.
func (h *handler) catalog(w http.ResponseWriter, r *http.Request) error {
	c := &call{handler: h, w: w, r: r}
	names := []string{}
	for _, full := range h.s.Repos() {
		for _, place := range c.places() {
			if n, ok := strings.CutPrefix(full, place+"/"); ok {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	names, err := page(w, r, slices.Compact(names))
	if err != nil {
		return err
	}
	return writeJSON(w, map[string]any{"repositories": names})
}

// page applies ?n= and ?last= to a sorted list and links to the next page.
func page(w http.ResponseWriter, r *http.Request, l []string) ([]string, error) {
	q := r.URL.Query()
	if last := q.Get("last"); last != "" {
		i, found := slices.BinarySearch(l, last)
		if found {
			i++
		}
		l = l[i:]
	}
	if !q.Has("n") {
		return l, nil
	}
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n < 0 {
		return nil, apiError{http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n must be a number"}
	}
	if n >= len(l) {
		return l, nil
	}
	if n > 0 {
		next := url.Values{"n": {strconv.Itoa(n)}, "last": {l[n-1]}}
		w.Header().Set("Link", "<"+r.URL.Path+"?"+next.Encode()+`>; rel="next"`)
	}
	return l[:n], nil
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
