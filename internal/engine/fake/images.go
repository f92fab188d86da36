package fake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/dhow-project/dhow/internal/engine"
	"github.com/dhow-project/dhow/internal/x/fault"
)

// Pull makes the image present, in PullTime, unless PullError says otherwise.
func (e *Engine) Pull(ctx context.Context, ref string, _ []engine.Auth, progress func(engine.Progress)) (string, error) {
	e.mu.Lock()
	e.pulls++
	e.mu.Unlock()
	if e.PullTime > 0 {
		t := time.NewTimer(e.PullTime)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if e.PullError != nil {
		if err := e.PullError(ref); err != nil {
			return "", err
		}
	}
	if progress != nil {
		progress(engine.Progress{Layer: digest(ref), Done: 1, Total: 1, Status: "done"})
	}
	return e.AddImage(engine.Image{Tags: []string{ref}, Size: 1 << 20, OS: "linux"}), nil
}

// Pulls is how many pulls were asked for.
func (e *Engine) Pulls() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pulls
}

// AddImage makes an image present under its tags and returns its id.
func (e *Engine) AddImage(img engine.Image) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if img.ID == "" {
		img.ID = digest(img.Tags[0])
	}
	if img.Digests == nil {
		img.Digests = []string{repository(img.Tags[0]) + "@" + digest("manifest of "+img.ID)}
	}
	e.images[img.ID] = &img
	for _, t := range append(img.Tags, img.Digests...) {
		e.tags[t] = img.ID
	}
	return img.ID
}

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(h[:])
}

// repository cuts tag and digest off a ref.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// image finds by id or ref; e.mu is held.
func (e *Engine) image(ref string) *engine.Image {
	if img := e.images[ref]; img != nil {
		return img
	}
	return e.images[e.tags[ref]]
}

// Image implements engine.Engine.
func (e *Engine) Image(_ context.Context, ref string) (engine.Image, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if img := e.image(ref); img != nil {
		return *img, nil
	}
	return engine.Image{}, fault.New(fault.NotFound, "image %s: not present", ref)
}

// ListImages implements engine.Engine.
func (e *Engine) ListImages(context.Context) ([]engine.Image, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]engine.Image, 0, len(e.images))
	for _, i := range e.images {
		out = append(out, *i)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out, nil
}

// RemoveImage implements engine.Engine.
func (e *Engine) RemoveImage(_ context.Context, ref string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	img := e.image(ref)
	if img == nil {
		return nil
	}
	if ref != img.ID {
		delete(e.tags, ref)
		img.Tags = slices.DeleteFunc(slices.Clone(img.Tags), func(t string) bool { return t == ref })
		if len(img.Tags) > 0 {
			return nil
		}
	}
	for _, t := range append(slices.Clone(img.Tags), img.Digests...) {
		delete(e.tags, t)
	}
	delete(e.images, img.ID)
	return nil
}

// ImageUsage implements engine.Engine.
func (e *Engine) ImageUsage(context.Context) (u engine.Usage, _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range e.images {
		u.Bytes += uint64(i.Size)
		u.Inodes++
	}
	return u, nil
}
